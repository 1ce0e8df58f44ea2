import ApusErrors
import Foundation
import GRDB

/// What the system and SQLite report, as errors of a store.
enum StoreFailure {
    /// Turns an error of SQLite into `store_unavailable` or `store_corrupt`; errors of Apus stay as they are.
    static func error(_ error: any Error, _ place: String) -> ApusError {
        if var error = error as? ApusError {
            // Told by code that reads the file and does not know where it lies.
            if error.place == CollectionDatabase.fileName { error.place = place }
            return error
        }
        if error is CancellationError { return cancelled }
        guard let failure = error as? DatabaseError else {
            return ApusError(.storeUnavailable, "the documents cannot be reached", place: place, cause: error)
        }
        let text = failure.message ?? "SQLite reports \(failure.extendedResultCode.rawValue)"
        switch failure.resultCode {
        case .SQLITE_CORRUPT, .SQLITE_NOTADB, .SQLITE_FORMAT:
            return corrupt("SQLite finds the file damaged: \(text)", place)
        case .SQLITE_FULL:
            return ApusError(.storeUnavailable, "there is no room left on the disk", place: place, advice: "Free some and try again", cause: failure)
        case .SQLITE_READONLY, .SQLITE_PERM, .SQLITE_AUTH:
            return ApusError(
                .storeUnavailable, "the file cannot be written: \(text)", place: place, advice: "Make file and folder writable", cause: failure)
        case .SQLITE_BUSY, .SQLITE_LOCKED:
            return ApusError(
                .storeUnavailable, "another program holds the file", place: place, advice: "End it and try again", cause: failure)
        case .SQLITE_INTERRUPT, .SQLITE_ABORT:
            return Task.isCancelled ? cancelled : ApusError(.storeUnavailable, "the collection was closed meanwhile", place: place)
        case .SQLITE_IOERR where isOutOfRoom(failure):
            return ApusError(
                .storeUnavailable, "the file cannot grow: \(text)", place: place, advice: "Free room on the disk and try again", cause: failure)
        default:
            return ApusError(.storeUnavailable, "SQLite cannot read or write the file: \(text)", place: place, cause: failure)
        }
    }

    static func corrupt(_ message: String, _ place: String, advice: String = restore) -> ApusError {
        ApusError(.storeCorrupt, message, place: place, advice: advice)
    }

    /// What the system says of a call that failed.
    static func system(_ what: String, _ number: Int32, _ place: String) -> ApusError {
        let reason = String(cString: strerror(number))
        switch number {
        case ENOSPC, EDQUOT, EFBIG:
            return ApusError(.storeUnavailable, "\(what): \(reason)", place: place, advice: "Free room on the disk and try again")
        default:
            return ApusError(.storeUnavailable, "\(what): \(reason)", place: place)
        }
    }

    static var cancelled: ApusError { ApusError(.cancelled, "the caller gave up before the answer was there") }

    static let restore =
        "Run apus collections repair NAME, which keeps every document that is whole, or restore the collection's folder from a copy"

    private static func isOutOfRoom(_ error: DatabaseError) -> Bool {
        error.extendedResultCode == .SQLITE_IOERR_WRITE || error.extendedResultCode == .SQLITE_IOERR_TRUNCATE
            || error.extendedResultCode == .SQLITE_IOERR_SHMSIZE
    }
}
