import ApusService
import NIOCore
import NIOHTTP1

/// A request that arrived whole.
struct HTTPRequest: Sendable {
    let head: HTTPRequestHead
    let caller: Caller
    let body: ByteBuffer
}
