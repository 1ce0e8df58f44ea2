import NIOCore

/// A command and who waits for its answer.
struct RedisCall: Sendable {
    let command: ByteBuffer
    let answer: EventLoopPromise<RESPValue>

    init(_ arguments: [[UInt8]], _ channel: any Channel) {
        command = Self.spelled(arguments)
        answer = channel.eventLoop.makePromise(of: RESPValue.self)
    }

    /// An array of bulk strings, as every command is sent.
    static func spelled(_ arguments: [[UInt8]]) -> ByteBuffer {
        var buffer = ByteBuffer()
        buffer.reserveCapacity(arguments.reduce(16) { $0 + $1.count + 16 })
        buffer.writeString("*\(arguments.count)\r\n")
        for argument in arguments {
            buffer.writeString("$\(argument.count)\r\n")
            buffer.writeBytes(argument)
            buffer.writeString("\r\n")
        }
        return buffer
    }
}

/// Gives answers to those who wait for them, in the order of their commands, which is all that RESP has to tell them apart by. An answer that
/// nobody asked for ends the connection.
final class RedisConnection: ChannelDuplexHandler {
    typealias InboundIn = RESPValue
    typealias OutboundIn = RedisCall
    typealias OutboundOut = ByteBuffer

    private var waiting = CircularBuffer<EventLoopPromise<RESPValue>>()
    private var isOver = false

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        let call = unwrapOutboundIn(data)
        guard !isOver else {
            call.answer.fail(ChannelError.ioOnClosedChannel)
            promise?.fail(ChannelError.ioOnClosedChannel)
            return
        }
        waiting.append(call.answer)
        context.write(wrapOutboundOut(call.command), promise: promise)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard let next = waiting.popFirst() else {
            return end(context, RESPFault("an answer came that nobody had asked for"))
        }
        next.succeed(unwrapInboundIn(data))
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        end(context, error)
    }

    func channelInactive(context: ChannelHandlerContext) {
        fail(ChannelError.eof)
        context.fireChannelInactive()
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        fail(ChannelError.eof)
    }

    private func end(_ context: ChannelHandlerContext, _ error: any Error) {
        fail(error)
        context.close(promise: nil)
    }

    private func fail(_ error: any Error) {
        isOver = true
        while let next = waiting.popFirst() { next.fail(error) }
    }
}
