/// What an Xid, the driver's error number of a GPU, asks for: NVIDIA's catalogue with the decisions of the recovery design.
package enum XidMeaning: Sendable, Equatable {
    /// Often a fault of the program or a hostile input: the device stays, the request is suspect.
    case suspectRequest
    /// The process that uses the device is to be replaced.
    case restartWorker
    /// The first one replaces the worker, a second one quarantines: sources differ on whether a reset is needed.
    case restartOnce
    /// Follows other errors, or was dealt with by the driver.
    case ignore
    /// A link between devices failed: the device may be used alone.
    case link
    /// Only a reset, which needs an operator, makes the device usable.
    case reset
    /// Fallen off the bus.
    case lost
    /// Field 230 changed. It is read after the Xids in every round of samples, so that the sample which tells of this Xid has its new value.
    case readAdvice
    /// Not in the catalogue.
    case unknown

    package init(xid: Int) {
        self =
            switch xid {
            case 13, 31: .suspectRequest
            case 8, 11, 25, 32, 39, 40, 41, 68, 69, 94: .restartWorker
            case 109: .restartOnce
            case 43, 44, 45, 63, 92, 121, 137, 157: .ignore
            case 74, 144...150: .link
            case 46, 48, 62, 64, 95, 110, 119, 120, 136, 140, 143, 155, 156, 158: .reset
            case 79: .lost
            case 154: .readAdvice
            default: .unknown
            }
    }
}
