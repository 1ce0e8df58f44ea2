import CApusProcess

/// Where a thread is kept, while it has left.
///
/// A new thread is kept on the cores of the thread that starts it. The lanes of a device in a group are kept on the device's cores; what belongs to
/// the whole process, as the threads of Swift's tasks and of Dispatch, must not be started from there by chance.
struct ThreadPlace {
    private var place = apus_thread_place()

    /// Runs `work`, after which this thread may run wherever the process may, until ``comeBack()``.
    mutating func leave<Value>(after work: () -> Value) -> Value {
        let value = work()
        apus_thread_leave(&place)
        return value
    }

    mutating func comeBack() {
        apus_thread_return(&place)
    }
}
