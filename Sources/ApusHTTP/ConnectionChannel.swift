import ApusErrors
import HummingbirdCore
package import Logging
package import NIOCore
import NIOHTTP1

/// The pipeline of one connection, plugged into Hummingbird's server.
///
/// It takes the place of Hummingbird's `HTTP1Channel` because that one answers some hostile requests otherwise than Apus promises: an
/// oversized header block or target with a bare 400, a trickled header or body never (its timeout starts anew with each byte), and a
/// client that goes away during a request does not cancel it. Decoding and encoding are swift-nio's; what is ours is in
/// ``RequestIntake`` (what is refused) and ``ConnectionHandler`` (one request at a time, deadlines, cancellation).
package struct ConnectionChannel: ServerChildChannel {
    package struct Value: ServerChildChannelValue {
        package let channel: any Channel
    }

    let configuration: HTTPConfiguration
    let threads: ServerThreads
    let budget: BodyBudget
    let gate: ConnectionHandler.Gate
    let responder: ConnectionHandler.Responder
    let refuser: ConnectionHandler.Refuser

    package func setup(channel: any Channel, logger: Logger) -> EventLoopFuture<Value> {
        channel.eventLoop.makeCompletedFuture {
            var limits = NIOHTTPDecoderLimitConfiguration()
            limits.maxHeaderFieldSize = configuration.limits.headerBytes
            limits.maxHeaderListSize = configuration.limits.headerBytes
            limits.maxHeaderFieldCount = configuration.limits.headerFields
            let connection = ConnectionHandler(
                configuration: configuration, threads: threads, budget: budget, gate: gate,
                responder: responder, refuser: refuser
            )
            let pipeline = channel.pipeline.syncOperations
            try pipeline.addHandler(ByteGateHandler(connection))
            try pipeline.addHandler(HTTPResponseEncoder())
            try pipeline.addHandler(ByteToMessageHandler(HTTPRequestDecoder(limitConfiguration: limits)))
            try pipeline.addHandler(connection)
            return Value(channel: channel)
        }
    }

    /// The handlers do the work; this waits for the connection to end, and ends it when the server is cancelled.
    package func handle(value: Value, logger: Logger) async {
        await withTaskCancellationHandler {
            do {
                try await value.channel.closeFuture.get()
            } catch {
                logger.debug("connection closed", error: error)
            }
        } onCancel: {
            threads.run(on: value.channel.eventLoop) { value.channel.close(promise: nil) }
        }
    }
}
