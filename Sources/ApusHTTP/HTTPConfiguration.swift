package import ApusErrors

/// Where the server listens and what it puts up with. Every value is checked when it is made.
package struct HTTPConfiguration: Sendable, Equatable {
    package struct Limits: Sendable, Equatable {
        /// Bytes of a request body after chunked decoding.
        package var bodyBytes = 32 << 20
        /// Bytes of all bodies that are held at once; a request that would exceed it is told to come back.
        package var totalBodyBytes = 512 << 20
        /// Bytes of names and values in a header block, the target included.
        package var headerBytes = 80 << 10
        package var headerFields = 256
        /// Bytes of a request target.
        package var targetBytes = 16 << 10
        /// Connections open at once. Further ones wait in the system's queue, but for up to three that arrive in one burst with the last.
        /// Lowered to what the file descriptor limit allows.
        package var connections = 4096
        /// File descriptors kept back for everything else: models, logs, event loops, and the channels of worker processes.
        package var reservedDescriptors = 64
        /// Bytes a second that a client must at least take of an answer, once the write timeout is over.
        package var slowestReader = 64 << 10

        package init() {}
    }

    package struct Timeouts: Sendable, Equatable {
        /// From the first byte of a request, or the start of a connection, to the end of its header block.
        package var header = Duration.seconds(10)
        /// From the end of the header block to the end of the body, in total.
        package var body = Duration.seconds(30)
        /// Between requests on one connection.
        package var idle = Duration.seconds(75)
        /// For a client to take an answer, besides what a long one takes at the rate of the slowest reader allowed.
        package var write = Duration.seconds(30)
        /// For a client to notice that its request was refused and stop sending, before the connection is cut.
        package var linger = Duration.seconds(2)
        /// For requests in flight once shutdown begins.
        package var drain = Duration.seconds(30)

        package init() {}
    }

    /// A host name or an IPv4 or IPv6 address.
    package let host: String
    /// 0 lets the system choose.
    package let port: Int
    package let limits: Limits
    package let timeouts: Timeouts
    /// Threads that read and write connections.
    package let eventLoopThreads: Int

    /// - Throws: `.invalidConfiguration` naming the key that is out of range.
    package init(
        host: String = "127.0.0.1",
        port: Int = 8080,
        limits: Limits = Limits(),
        timeouts: Timeouts = Timeouts(),
        eventLoopThreads: Int = 1
    ) throws(ApusError) {
        guard !host.isEmpty, host.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else {
            throw ApusError(.invalidConfiguration, "must be a host name or an address", place: "server.host")
        }
        try Self.check(port, in: 0...65535, "server.port")
        try Self.check(limits.bodyBytes, in: 1...(1 << 31), "limits.body_bytes")
        try Self.check(limits.totalBodyBytes, in: limits.bodyBytes...(1 << 40), "limits.total_body_bytes")
        try Self.check(limits.headerBytes, in: 256...(1 << 24), "limits.header_bytes")
        try Self.check(limits.headerFields, in: 1...100_000, "limits.header_fields")
        try Self.check(limits.targetBytes, in: 64...limits.headerBytes, "limits.target_bytes")
        try Self.check(limits.connections, in: 1...1_000_000, "limits.connections")
        try Self.check(limits.slowestReader, in: 1...Int(Int32.max), "limits.slowest_reader")
        try Self.check(eventLoopThreads, in: 1...256, "server.event_loop_threads")
        let durations = [
            ("header", timeouts.header), ("body", timeouts.body), ("idle", timeouts.idle), ("write", timeouts.write),
            ("linger", timeouts.linger), ("drain", timeouts.drain),
        ]
        for (key, duration) in durations where duration <= .zero || duration > .seconds(86_400) {
            throw ApusError(.invalidConfiguration, "must be more than 0 and at most a day", place: "server.timeouts.\(key)")
        }
        self.host = host
        self.port = port
        self.limits = limits
        self.timeouts = timeouts
        self.eventLoopThreads = eventLoopThreads
    }

    private static func check(_ value: Int, in range: ClosedRange<Int>, _ key: String) throws(ApusError) {
        guard range.contains(value) else {
            throw ApusError(
                .invalidConfiguration, "must be from \(range.lowerBound) to \(range.upperBound), not \(value)", place: key
            )
        }
    }

    /// Whether only this machine can connect. A name is taken for its usual meaning, without asking a resolver.
    package var isLoopback: Bool {
        host == "localhost" || host == "::1" || host.hasPrefix("127.")
    }
}
