import ApusErrors
import Foundation
import NIOConcurrencyHelpers

/// libpq's C interface (https://www.postgresql.org/docs/current/libpq.html), from the library of this machine: loaded when a store first needs it,
/// so that nobody else has to have it.
///
/// All handles are opaque and all other types C's own, so that no header is needed. The signatures have been the same since libpq 5.0.
struct PostgresLibrary: Sendable {
    typealias Text = UnsafePointer<CChar>
    typealias Texts = UnsafePointer<UnsafePointer<CChar>?>

    let connectStart: @convention(c) (Texts, Texts, Int32) -> OpaquePointer?
    let connectPoll: @convention(c) (OpaquePointer) -> Int32
    let status: @convention(c) (OpaquePointer) -> Int32
    let finish: @convention(c) (OpaquePointer) -> Void
    let socket: @convention(c) (OpaquePointer) -> Int32
    let errorMessage: @convention(c) (OpaquePointer) -> Text?
    let setNonBlocking: @convention(c) (OpaquePointer, Int32) -> Int32
    let sendQuery:
        @convention(c) (
            OpaquePointer, Text, Int32, UnsafePointer<UInt32>?, Texts?, UnsafePointer<Int32>?, UnsafePointer<Int32>?, Int32
        ) -> Int32
    let setSingleRowMode: @convention(c) (OpaquePointer) -> Int32
    let flush: @convention(c) (OpaquePointer) -> Int32
    let consumeInput: @convention(c) (OpaquePointer) -> Int32
    let isBusy: @convention(c) (OpaquePointer) -> Int32
    let getResult: @convention(c) (OpaquePointer) -> OpaquePointer?
    let clear: @convention(c) (OpaquePointer) -> Void
    let resultStatus: @convention(c) (OpaquePointer) -> Int32
    let resultField: @convention(c) (OpaquePointer, Int32) -> Text?
    let rowCount: @convention(c) (OpaquePointer) -> Int32
    let fieldCount: @convention(c) (OpaquePointer) -> Int32
    let value: @convention(c) (OpaquePointer, Int32, Int32) -> Text?
    let length: @convention(c) (OpaquePointer, Int32, Int32) -> Int32
    let isNull: @convention(c) (OpaquePointer, Int32, Int32) -> Int32
    let setNoticeProcessor:
        @convention(c) (OpaquePointer, @convention(c) (UnsafeMutableRawPointer?, Text?) -> Void, UnsafeMutableRawPointer?) -> OpaquePointer?
    let getCancel: @convention(c) (OpaquePointer) -> OpaquePointer?
    /// May be called on another thread than that which uses the connection.
    let cancel: @convention(c) (OpaquePointer, UnsafeMutablePointer<CChar>, Int32) -> Int32
    let freeCancel: @convention(c) (OpaquePointer) -> Void

    /// Loads the library, the one in the file `path` or else the system's; it stays loaded. Throws `store_unavailable`.
    static func load(_ path: String?) throws(ApusError) -> PostgresLibrary {
        let key = path ?? ""
        if let library = loaded.withLockedValue({ $0[key] }) { return library }
        let library = try PostgresLibrary(path)
        loaded.withLockedValue { $0[key] = library }
        return library
    }

    private static let loaded = NIOLockedValueBox<[String: PostgresLibrary]>([:])

    #if os(macOS)
    private static let names = ["libpq.5.dylib", "libpq.dylib"]
    #else
    private static let names = ["libpq.so.5"]
    #endif

    private init(_ path: String?) throws(ApusError) {
        let names = path.map { [$0] } ?? Self.names
        guard let handle = names.lazy.compactMap({ dlopen($0, RTLD_NOW | RTLD_LOCAL) }).first else {
            throw ApusError(
                .storeUnavailable, path == nil ? "PostgreSQL's client library is not on this machine" : "PostgreSQL's client library cannot be loaded",
                place: names[0],
                advice: "Install libpq (Debian, Ubuntu: apt-get install libpq5), or name its file with collections.libpq or APUS_LIBPQ")
        }
        func symbol<Function>(_ name: String, as type: Function.Type) throws(ApusError) -> Function {
            guard let address = dlsym(handle, name) else {
                throw ApusError(.storeUnavailable, "PostgreSQL's client library has no \(name)", place: names[0])
            }
            return unsafeBitCast(address, to: type)
        }
        connectStart = try symbol("PQconnectStartParams", as: (@convention(c) (Texts, Texts, Int32) -> OpaquePointer?).self)
        connectPoll = try symbol("PQconnectPoll", as: (@convention(c) (OpaquePointer) -> Int32).self)
        status = try symbol("PQstatus", as: (@convention(c) (OpaquePointer) -> Int32).self)
        finish = try symbol("PQfinish", as: (@convention(c) (OpaquePointer) -> Void).self)
        socket = try symbol("PQsocket", as: (@convention(c) (OpaquePointer) -> Int32).self)
        errorMessage = try symbol("PQerrorMessage", as: (@convention(c) (OpaquePointer) -> Text?).self)
        setNonBlocking = try symbol("PQsetnonblocking", as: (@convention(c) (OpaquePointer, Int32) -> Int32).self)
        sendQuery = try symbol(
            "PQsendQueryParams",
            as: (@convention(c) (
                OpaquePointer, Text, Int32, UnsafePointer<UInt32>?, Texts?, UnsafePointer<Int32>?, UnsafePointer<Int32>?, Int32
            ) -> Int32).self)
        setSingleRowMode = try symbol("PQsetSingleRowMode", as: (@convention(c) (OpaquePointer) -> Int32).self)
        flush = try symbol("PQflush", as: (@convention(c) (OpaquePointer) -> Int32).self)
        consumeInput = try symbol("PQconsumeInput", as: (@convention(c) (OpaquePointer) -> Int32).self)
        isBusy = try symbol("PQisBusy", as: (@convention(c) (OpaquePointer) -> Int32).self)
        getResult = try symbol("PQgetResult", as: (@convention(c) (OpaquePointer) -> OpaquePointer?).self)
        clear = try symbol("PQclear", as: (@convention(c) (OpaquePointer) -> Void).self)
        resultStatus = try symbol("PQresultStatus", as: (@convention(c) (OpaquePointer) -> Int32).self)
        resultField = try symbol("PQresultErrorField", as: (@convention(c) (OpaquePointer, Int32) -> Text?).self)
        rowCount = try symbol("PQntuples", as: (@convention(c) (OpaquePointer) -> Int32).self)
        fieldCount = try symbol("PQnfields", as: (@convention(c) (OpaquePointer) -> Int32).self)
        value = try symbol("PQgetvalue", as: (@convention(c) (OpaquePointer, Int32, Int32) -> Text?).self)
        length = try symbol("PQgetlength", as: (@convention(c) (OpaquePointer, Int32, Int32) -> Int32).self)
        isNull = try symbol("PQgetisnull", as: (@convention(c) (OpaquePointer, Int32, Int32) -> Int32).self)
        setNoticeProcessor = try symbol(
            "PQsetNoticeProcessor",
            as: (@convention(c) (OpaquePointer, @convention(c) (UnsafeMutableRawPointer?, Text?) -> Void, UnsafeMutableRawPointer?) -> OpaquePointer?).self)
        getCancel = try symbol("PQgetCancel", as: (@convention(c) (OpaquePointer) -> OpaquePointer?).self)
        cancel = try symbol("PQcancel", as: (@convention(c) (OpaquePointer, UnsafeMutablePointer<CChar>, Int32) -> Int32).self)
        freeCancel = try symbol("PQfreeCancel", as: (@convention(c) (OpaquePointer) -> Void).self)
    }
}
