import ApusErrors
package import ApusService
import HummingbirdCore
package import Logging
import NIOCore
import NIOPosix
import ServiceLifecycle
import UnixSignals

/// The front door over HTTP/1.1.
///
/// Runs until its task is cancelled or, in a `ServiceGroup`, until graceful shutdown: then the port is closed, readiness becomes 503,
/// idle connections are closed, requests that are still arriving get 503 `shutting_down`, those already accepted are answered, and what
/// is left when the drain time is over is cut off.
package struct HTTPServer: ServiceLifecycle.Service {
    private let configuration: HTTPConfiguration
    private let service: InferenceService
    private let router: RequestRouter
    private let logger: Logger
    private let onListening: @Sendable (_ port: Int) async -> Void

    /// - Parameters:
    ///   - limits: those the service was made with.
    ///   - metrics: what `/metrics` answers: a text and its media type.
    ///   - onListening: told the port once connections are accepted, also the one the system chose for port 0.
    package init(
        configuration: HTTPConfiguration,
        service: InferenceService,
        limits: ServiceLimits = .standard,
        logger: Logger,
        metrics: @escaping @Sendable () -> (text: [UInt8], contentType: String),
        onListening: @escaping @Sendable (_ port: Int) async -> Void = { _ in }
    ) {
        self.configuration = configuration
        self.service = service
        self.logger = logger
        self.onListening = onListening
        router = RequestRouter(service: service, maxInputs: limits.maxInputs, metricsSource: metrics, logger: logger)
    }

    /// Serves until SIGTERM or SIGINT, or until its task is cancelled, then drains and returns.
    /// - Throws: as ``run()`` does.
    package func runUntilSignalled() async throws {
        let group = ServiceGroup(
            configuration: .init(
                services: [.init(service: self, successTerminationBehavior: .gracefullyShutdownGroup)],
                gracefulShutdownSignals: [.sigterm, .sigint],
                logger: Logger(label: "apus.lifecycle") { _ in SwiftLogNoOpLogHandler() }
            )
        )
        // Connections of a task that is cancelled are cut off, and complain. So the cancellation only begins the draining.
        let running = Task.detached { try await group.run() }
        try await withTaskCancellationHandler {
            try await running.value
        } onCancel: {
            Task { await group.triggerGracefulShutdown() }
        }
    }

    /// - Throws: `ApusError` with `.addressInUse` or `.addressUnavailable` when the port cannot be had.
    package func run() async throws {
        if !configuration.isLoopback, service.access.isOpen {
            logger.warning(
                "listening beyond this machine without authentication: whoever reaches the port can use every model",
                metadata: ["host": "\(configuration.host)"]
            )
        }
        let threads = ServerThreads(count: configuration.eventLoopThreads)
        let outcome: Result<Void, any Error>
        do {
            try await serve(on: threads)
            outcome = .success(())
        } catch {
            outcome = .failure(configuration.explained(error))
        }
        do {
            try await threads.shutDown()
        } catch {
            logger.warning("the event loops did not end cleanly", error: error)
        }
        try outcome.get()
    }

    private func serve(on threads: ServerThreads) async throws {
        let channel = ConnectionChannel(
            configuration: configuration,
            threads: threads,
            budget: BodyBudget(limit: configuration.limits.totalBodyBytes),
            gate: { [router] head in router.admit(head) },
            responder: { [router] request in await router.answer(request) },
            refuser: { [router] error in router.refuse(error) }
        )
        let connections = FileDescriptorLimit.connections(
            wanted: configuration.limits.connections, reserved: configuration.limits.reservedDescriptors)
        // Hummingbird's own line about its start would repeat ours.
        var quiet = logger
        quiet.logLevel = max(logger.logLevel, .warning)
        let server = Server(
            childChannelSetup: channel,
            configuration: ServerConfiguration(
                address: .hostname(configuration.host, port: configuration.port),
                backlog: 1024,
                availableConnectionsDelegate: MaximumAvailableConnections(connections, logger: quiet)
            ),
            onServerRunning: { [onListening] channel in await onListening(channel.localAddress?.port ?? 0) },
            eventLoopGroup: threads.group,
            logger: quiet
        )
        try await run(server)
    }

    /// Ends when the server does, or the drain time is over; then everything that is left is cancelled.
    ///
    /// The server runs in a task that does not see graceful shutdown. Left to itself it would begin its own in a task nobody waits for,
    /// which may still look at the event loops when they are gone.
    private func run(_ server: Server<ConnectionChannel>) async throws {
        let running = Task.detached { try await server.run() }
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                try await withTaskCancellationHandler {
                    try await running.value
                } onCancel: {
                    running.cancel()
                }
            }
            group.addTask { [service, logger] in
                try await gracefulShutdown()
                service.beginDraining()
                logger.info("draining: no new connections, waiting for requests in flight")
                try await server.shutdownGracefully()
            }
            group.addTask { [configuration, logger] in
                try await gracefulShutdown()
                try await Task.sleep(for: configuration.timeouts.drain)
                logger.warning("the drain time is over, cutting off what is left")
            }
            defer { group.cancelAll() }
            try await group.next()
        }
    }
}
