import ApusErrors
import Foundation

/// One connection. Every call blocks its thread until the server answered or its time is over, and is made by one thread at a time, which the
/// pool sees to; after a call that threw `store_unavailable` the connection is of no more use.
final class PostgresConnection: @unchecked Sendable {
    private let library: PostgresLibrary
    private let handle: OpaquePointer
    /// Shown in errors: without user and password.
    private let address: String
    private(set) var isBroken = false
    /// Whether the call that is made has been given up.
    var cancellation: PostgresCancellation?

    /// - Parameter deadline: when it has to be there. Throws `store_unavailable`.
    init(_ settings: PostgresSettings, _ library: PostgresLibrary, deadline: ContinuousClock.Instant) throws(ApusError) {
        self.library = library
        address = settings.address
        let parameters = [
            ("dbname", settings.url), ("fallback_application_name", "apus"), ("client_encoding", "UTF8"), ("tcp_user_timeout", "30000"),
            ("keepalives_idle", "30"), nil,
        ]
        let strings = parameters.map { pair in pair.map { (strdup($0.0), strdup($0.1)) } }
        defer {
            for case (let key, let value)? in strings {
                free(key)
                free(value)
            }
        }
        let keys = strings.map { $0.flatMap { UnsafePointer($0.0) } }
        let values = strings.map { $0.flatMap { UnsafePointer($0.1) } }
        guard let handle = library.connectStart(keys, values, 1) else {
            throw ApusError(.storeUnavailable, "there is no memory for a connection", place: settings.address)
        }
        self.handle = handle
        // What a server remarks on ("already exists, skipping") would else be written to standard error.
        _ = library.setNoticeProcessor(handle, { _, _ in }, nil)
        var wanted: Int16 = Int16(POLLOUT)
        while true {
            guard library.status(handle) != Self.bad else { throw unavailable("cannot be reached") }
            guard try wait(for: wanted, until: deadline) else { throw unavailable("did not answer in time") }
            switch library.connectPoll(handle) {
            case 1: wanted = Int16(POLLIN)
            case 2: wanted = Int16(POLLOUT)
            case 3:
                guard library.setNonBlocking(handle, 1) == 0 else { throw unavailable("cannot be used") }
                return
            default: throw unavailable("cannot be reached")
            }
        }
    }

    deinit { library.finish(handle) }

    private static let bad: Int32 = 1

    /// After a call was given up: the server may still be asked to end it.
    func leave() { isBroken = true }

    /// What asks the server, over a connection of its own, to end what this one has asked for; to be called on any thread.
    func canceller() -> (@Sendable () -> Void)? {
        guard let request = library.getCancel(handle) else { return nil }
        let owner = CancelRequest(request, library)
        return { owner.send() }
    }

    /// Runs one command and returns its rows.
    @discardableResult
    func run(_ sql: String, _ parameters: [PostgresValue] = [], deadline: ContinuousClock.Instant) throws(ApusError) -> [PostgresRow] {
        var rows: [PostgresRow] = []
        try run(sql, parameters, deadline: deadline) { rows.append($0) }
        return rows
    }

    /// Runs one command and hands over its rows as they come. Values are only ever parameters: `sql` is the program's own text.
    ///
    /// Throws `store_unavailable` when the server is away, slow or has no room, and ``PostgresRefusal`` inside of a `store_unavailable` for
    /// commands that it refuses.
    func run(
        _ sql: String, _ parameters: [PostgresValue], deadline: ContinuousClock.Instant, take: (PostgresRow) throws(ApusError) -> Void
    ) throws(ApusError) {
        guard !isBroken else { throw unavailable("was left") }
        do throws(ApusError) {
            try send(sql, parameters)
            try flush(deadline)
            try receive(deadline, take)
        } catch {
            if (error.cause as? PostgresRefusal)?.leavesConnection != true { isBroken = true }
            throw error
        }
    }

    private func send(_ sql: String, _ parameters: [PostgresValue]) throws(ApusError) {
        let encoded = parameters.map(\.encoded)
        // All values in one block, each at its place in it.
        var block: [UInt8] = []
        var places: [Int?] = []
        for value in encoded {
            places.append(value.map { _ in block.count })
            // libpq wants an address for an empty value, too.
            block += (value ?? []) + [0]
        }
        let types = parameters.map(\.type)
        let lengths = encoded.map { Int32(clamping: $0?.count ?? 0) }
        let formats = [Int32](repeating: 1, count: parameters.count)
        let isSent = block.withUnsafeBytes { block in
            let start = block.baseAddress?.assumingMemoryBound(to: CChar.self)
            let values = places.map { place in place.flatMap { place in start.map { $0 + place } } }
            return library.sendQuery(handle, sql, Int32(clamping: parameters.count), types, values, lengths, formats, 1) == 1
        }
        guard isSent, library.setSingleRowMode(handle) == 1 else { throw unavailable("cannot be asked") }
    }

    private func flush(_ deadline: ContinuousClock.Instant) throws(ApusError) {
        while true {
            switch library.flush(handle) {
            case 0: return
            case 1:
                // A server that answers before it has read everything is listened to meanwhile.
                guard try wait(for: Int16(POLLIN | POLLOUT), until: deadline) else { throw unavailable("does not take what it is sent in time") }
                guard library.consumeInput(handle) == 1 else { throw unavailable("went away") }
            default: throw unavailable("went away")
            }
        }
    }

    private func receive(_ deadline: ContinuousClock.Instant, _ take: (PostgresRow) throws(ApusError) -> Void) throws(ApusError) {
        var failure: ApusError?
        while true {
            while library.isBusy(handle) == 1 {
                guard try wait(for: Int16(POLLIN), until: deadline) else { throw unavailable("does not answer in time") }
                guard library.consumeInput(handle) == 1 else { throw unavailable("went away") }
            }
            guard let result = library.getResult(handle) else { break }
            defer { library.clear(result) }
            switch library.resultStatus(result) {
            case 1, 2, 9:
                for row in 0..<library.rowCount(result) { try take(self.row(result, row)) }
            default:
                failure = failure ?? refusal(result)
            }
        }
        if let failure { throw failure }
    }

    private func row(_ result: OpaquePointer, _ row: Int32) -> PostgresRow {
        PostgresRow(
            columns: (0..<library.fieldCount(result)).map { column in
                guard library.isNull(result, row, column) == 0, let start = library.value(result, row, column) else { return nil }
                return Array(UnsafeRawBufferPointer(start: start, count: Int(max(0, library.length(result, row, column)))))
            })
    }

    private func refusal(_ result: OpaquePointer) -> ApusError {
        let state = library.resultField(result, Int32(UInt8(ascii: "C"))).map { String(cString: $0) } ?? ""
        let text = library.resultField(result, Int32(UInt8(ascii: "M"))).map { String(cString: $0) } ?? "no reason"
        return ApusError(
            .storeUnavailable, "PostgreSQL refuses: \(text)", place: address,
            cause: PostgresRefusal(state: state, text: text))
    }

    /// Whether something came before the deadline.
    private func wait(for events: Int16, until deadline: ContinuousClock.Instant) throws(ApusError) -> Bool {
        while true {
            let socket = library.socket(handle)
            guard socket >= 0 else { throw unavailable("went away") }
            let end = cancellation?.end.map { min($0, deadline) } ?? deadline
            let left = ContinuousClock.now.duration(to: end) / .milliseconds(1)
            guard left > 0 else { return false }
            var descriptor = pollfd(fd: socket, events: events, revents: 0)
            // A call that is given up is answered by the server at once, or else seen here soon.
            let ready = poll(&descriptor, 1, Int32(min(left.rounded(.up), 250)))
            if ready > 0 { return true }
            if ready < 0, errno != EINTR { throw unavailable("cannot be waited for") }
        }
    }

    private func unavailable(_ what: String) -> ApusError {
        let text = library.errorMessage(handle).map { String(cString: $0).split(separator: "\n").joined(separator: " ") } ?? ""
        return ApusError(.storeUnavailable, "PostgreSQL \(what)" + (text.isEmpty ? "" : ": \(text)"), place: address)
    }
}

/// libpq's means to end a command.
private final class CancelRequest: @unchecked Sendable {
    // Made once, read by `PQcancel`, which is safe on any thread (https://www.postgresql.org/docs/current/libpq-cancel.html).
    private let request: OpaquePointer
    private let library: PostgresLibrary

    init(_ request: OpaquePointer, _ library: PostgresLibrary) {
        (self.request, self.library) = (request, library)
    }

    /// Waits for the server to take it. One that does not leaves the command running there until it ends by itself.
    func send() {
        var reason = [CChar](repeating: 0, count: 256)
        _ = library.cancel(request, &reason, Int32(reason.count))
    }

    deinit { library.freeCancel(request) }
}

/// What a server says of a command that it does not carry out.
struct PostgresRefusal: Error, Sendable, CustomStringConvertible {
    /// SQLSTATE, five characters.
    let state: String
    let text: String

    var description: String { "\(state): \(text)" }

    /// Whether the connection can be used afterwards: not when the server ends it (class 57P), and not when it is out of resources (53).
    var leavesConnection: Bool { !state.isEmpty && !state.hasPrefix("57P") && !state.hasPrefix("53") && !state.hasPrefix("08") }
    /// Whether the same would go well once more, or be refused for a better reason: two transactions were in each other's way, or a table is gone with
    /// the collection that was read before.
    var isTransient: Bool { state == "40001" || state == "40P01" || state == "42P01" }
}
