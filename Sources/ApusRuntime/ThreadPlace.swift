import CApusProcess

/// Where threads are kept.
enum ThreadPlace {
    /// Runs `work` while this thread may run wherever the process may.
    ///
    /// A new thread is kept on the cores of the thread that starts it. The lanes of a device in a group are kept on the device's cores; what belongs to
    /// the whole process, as the threads of Swift's tasks and of Dispatch, must not be started from there by chance.
    static func anywhere(_ work: () -> Void) {
        var place = apus_thread_place()
        apus_thread_leave(&place)
        work()
        apus_thread_return(&place)
    }
}
