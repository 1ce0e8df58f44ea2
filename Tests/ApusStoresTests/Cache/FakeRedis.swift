import NIOConcurrencyHelpers
import NIOCore
import NIOPosix

/// A server on loopback that speaks RESP as a test wants it to.
final class FakeRedis: Sendable {
    enum Manner: Sendable {
        /// As Redis does, with values in memory.
        case honest
        /// Takes connections and says nothing.
        case mute
        /// Greets, and then answers no command that is no greeting.
        case muteAfterGreeting
        /// Greets, and then answers every other command so.
        case saying(String)
        /// Says this as soon as somebody connects.
        case blurting(String)
        /// Greets, and ends the connection at the next command.
        case hangingUp
        /// Wants this password.
        case wanting(String)
    }

    private struct State {
        var manner: Manner
        var values: [[UInt8]: [UInt8]] = [:]
        var commands: [[String]] = []
    }

    private let state: NIOLockedValueBox<State>
    private let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    private let channel: any Channel

    init(_ manner: Manner, port: Int = 0) async throws {
        let state = NIOLockedValueBox(State(manner: manner))
        self.state = state
        channel = try await ServerBootstrap(group: group)
            .serverChannelOption(ChannelOptions.socketOption(.so_reuseaddr), value: 1)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(Handler { command, channel in Self.answer(command, state, channel) })
                    if case .blurting(let text) = state.withLockedValue({ $0.manner }) {
                        channel.writeAndFlush(ByteBuffer(string: text), promise: nil)
                    }
                }
            }
            .bind(host: "127.0.0.1", port: port).get()
    }

    var port: Int { channel.localAddress?.port ?? 0 }
    var url: String { "redis://127.0.0.1:\(port)" }
    /// The first two words of every command.
    var commands: [[String]] { state.withLockedValue { $0.commands } }
    var values: [[UInt8]: [UInt8]] { state.withLockedValue { $0.values } }

    func set(_ manner: Manner) { state.withLockedValue { $0.manner = manner } }
    func overwrite(_ change: ([UInt8]) -> [UInt8]) { state.withLockedValue { $0.values = $0.values.mapValues(change) } }

    func close() async throws {
        try await channel.close()
        try await group.shutdownGracefully()
    }

    private static func answer(_ command: [[UInt8]], _ state: NIOLockedValueBox<State>, _ channel: any Channel) {
        let name = String(decoding: command.first ?? [], as: UTF8.self)
        let isGreeting = ["PING", "AUTH", "SELECT"].contains(name)
        let manner = state.withLockedValue { state in
            state.commands.append(command.prefix(3).map { String(decoding: $0, as: UTF8.self) })
            return state.manner
        }
        var text: String?
        switch manner {
        case .mute: return
        case .muteAfterGreeting: text = isGreeting ? "+OK\r\n" : nil
        case .saying(let words): text = isGreeting ? "+OK\r\n" : words
        case .blurting: text = "+OK\r\n"
        case .hangingUp:
            guard isGreeting else { return channel.close(promise: nil) }
            text = "+OK\r\n"
        case .wanting(let password):
            let isRight = name == "AUTH" && command.last == Array(password.utf8)
            text = isRight || name != "AUTH" ? "+OK\r\n" : "-WRONGPASS invalid username-password pair\r\n"
        case .honest:
            return channel.writeAndFlush(honest(name, command, state), promise: nil)
        }
        if let text { channel.writeAndFlush(ByteBuffer(string: text), promise: nil) }
    }

    private static func honest(_ name: String, _ command: [[UInt8]], _ state: NIOLockedValueBox<State>) -> ByteBuffer {
        switch name {
        case "SET":
            state.withLockedValue { $0.values[command[1]] = command[2] }
            return ByteBuffer(string: "+OK\r\n")
        case "MGET":
            var buffer = ByteBuffer(string: "*\(command.count - 1)\r\n")
            for key in command.dropFirst() {
                guard let value = state.withLockedValue({ $0.values[key] }) else {
                    buffer.writeString("$-1\r\n")
                    continue
                }
                buffer.writeString("$\(value.count)\r\n")
                buffer.writeBytes(value)
                buffer.writeString("\r\n")
            }
            return buffer
        default: return ByteBuffer(string: name == "PING" ? "+PONG\r\n" : "+OK\r\n")
        }
    }

    /// Parts the bytes of clients into commands, which are arrays of bulk strings.
    private final class Handler: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer

        private let take: (([[UInt8]], any Channel) -> Void)
        private var bytes: [UInt8] = []

        init(_ take: @escaping ([[UInt8]], any Channel) -> Void) { self.take = take }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            bytes += unwrapInboundIn(data).readableBytesView
            while let command = next() { take(command, context.channel) }
        }

        private func next() -> [[UInt8]]? {
            var place = 0
            func number(after sign: Character) -> Int? {
                guard place < bytes.count, bytes[place] == sign.asciiValue, let end = bytes[place...].firstIndex(of: 13), end + 1 < bytes.count else { return nil }
                defer { place = end + 2 }
                return Int(String(decoding: bytes[(place + 1)..<end], as: UTF8.self))
            }
            guard let count = number(after: "*") else { return nil }
            var parts: [[UInt8]] = []
            for _ in 0..<count {
                guard let length = number(after: "$"), place + length + 2 <= bytes.count else { return nil }
                parts.append(Array(bytes[place..<(place + length)]))
                place += length + 2
            }
            bytes.removeFirst(place)
            return parts
        }
    }
}
