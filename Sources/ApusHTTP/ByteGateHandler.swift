import NIOCore

/// Stands before the decoder and shows the connection when bytes arrive, which the decoder alone would not tell before a whole header
/// block is there. Throws bytes away once the connection has refused a request.
final class ByteGateHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer

    private let connection: ConnectionHandler

    init(_ connection: ConnectionHandler) {
        self.connection = connection
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard connection.bytesArrived(unwrapInboundIn(data)) else { return }
        context.fireChannelRead(data)
    }
}

@available(*, unavailable)
extension ByteGateHandler: Sendable {}
