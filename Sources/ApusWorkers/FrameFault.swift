/// Why a connection between front and worker is of no more use.
package enum FrameFault: Error, Equatable {
    /// The other side has closed it or is gone.
    case closed
    /// What came is not what this side speaks. Whoever sent it is not to be trusted any further.
    case malformed(String)
    /// The system refused; its `errno`.
    case system(Int32)
}
