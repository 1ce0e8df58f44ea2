import ApusVectors
import Logging
import NIOConcurrencyHelpers
import NIOCore
import NIOPosix

extension RedisCache {
    /// For a server to be reached, and to answer the first commands.
    private static let patience = TimeAmount.seconds(1)
    /// Bytes of answers that may be under way at once.
    private static let mostBuffered = 64 << 20

    func connect() {
        guard !state.withLockedValue({ $0.isClosed }) else { return }
        ClientBootstrap(group: group)
            .connectTimeout(Self.patience)
            .channelOption(ChannelOptions.tcpOption(.tcp_nodelay), value: 1)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandlers(
                        ByteToMessageHandler(RESPDecoder(), maximumBufferSize: Self.mostBuffered), RedisConnection())
                }
            }
            .connect(host: settings.host, port: settings.port)
            .whenComplete { result in
                switch result {
                case .success(let channel): self.greet(channel)
                case .failure(let error): self.tryAgain("it cannot be reached: \(error)")
                }
            }
    }

    /// The first commands, on the channel's event loop.
    private func greet(_ channel: any Channel) {
        var commands: [[String]] = []
        if let password = settings.password { commands.append(["AUTH"] + (settings.user.map { [$0] } ?? []) + [password]) }
        if settings.database != 0 { commands.append(["SELECT", "\(settings.database)"]) }
        commands.append(["PING"])
        let calls = commands.map { RedisCall($0.map { Array($0.utf8) }, channel) }
        let timer = channel.eventLoop.scheduleTask(in: Self.patience) { channel.close(promise: nil) }
        for call in calls { channel.write(call, promise: nil) }
        channel.flush()
        let answers = calls.map { $0.answer.futureResult }
        EventLoopFuture.whenAllSucceed(answers, on: channel.eventLoop).whenComplete { result in
            timer.cancel()
            switch result {
            case .success(let answers):
                for answer in answers {
                    guard case .simple = answer else {
                        channel.close(promise: nil)
                        if case .error(let text) = answer { return self.tryAgain("it refuses: \(text.prefix(200))") }
                        return self.tryAgain("it answers something else than was asked")
                    }
                }
                self.connected(channel)
            case .failure(let error):
                channel.close(promise: nil)
                self.tryAgain("it does not answer: \(error)")
            }
        }
    }

    private func connected(_ channel: any Channel) {
        let (isClosed, wasAway) = state.withLockedValue { state in
            guard !state.isClosed else { return (true, false) }
            state.channel = channel
            state.breaker.close()
            state.statistics.isAvailable = true
            defer { state.statistics.trouble = nil }
            return (false, state.statistics.trouble != nil)
        }
        guard !isClosed else { return channel.close(promise: nil) }
        channel.closeFuture.whenComplete { _ in self.disconnected(channel, "the connection ended") }
        if wasAway { logger.notice("the shared cache at \(settings.address) is used again") }
        drain()
    }

    /// `channel` is of no more use; nothing happens when another is used by now.
    func disconnected(_ channel: any Channel, _ reason: String) {
        let isCurrent = state.withLockedValue { state in
            guard let current = state.channel, current === channel else { return false }
            state.channel = nil
            return true
        }
        if isCurrent { tryAgain(reason) }
    }

    private func tryAgain(_ reason: String) {
        let (pause, isNews) = state.withLockedValue { state -> (Int64, Bool) in
            state.statistics.isAvailable = false
            defer { state.statistics.trouble = reason }
            state.statistics.drops += state.writes.count
            (state.writes, state.writeBytes) = ([], 0)
            return (state.breaker.open(), state.statistics.trouble == nil && !state.isClosed)
        }
        if isNews {
            logger.warning("the shared cache at \(settings.address) is not used: \(reason). Requests do without it; it is tried again")
        }
        guard !state.withLockedValue({ $0.isClosed }) else { return }
        group.next().scheduleTask(in: .milliseconds(pause)) { self.connect() }
    }

    package func close() async {
        // What was computed last is still passed on, where that is quick.
        for _ in 0..<20 {
            let isDone = state.withLockedValue { $0.channel == nil || ($0.writes.isEmpty && $0.unansweredWrites == 0) }
            if isDone { break }
            try? await Task.sleep(for: .milliseconds(25))
        }
        let channel = state.withLockedValue { state in
            state.isClosed = true
            defer { state.channel = nil }
            return state.channel
        }
        try? await channel?.close()
        try? await group.shutdownGracefully()
    }
}
