import NIOCore
import NIOPosix
import Synchronization

/// The threads that read and write connections, and the way back to them from a request's task.
///
/// A cancelled task may end after the server did, when a model takes its time to let go. Its answer is then dropped here rather than sent
/// to a thread that is no more, so shutting down never waits for a model.
final class ServerThreads: Sendable {
    let group: MultiThreadedEventLoopGroup
    private let isOpen = Mutex(true)

    init(count: Int) {
        group = MultiThreadedEventLoopGroup(numberOfThreads: count)
    }

    func run(on eventLoop: any EventLoop, _ body: @escaping @Sendable () -> Void) {
        isOpen.withLock { isOpen in
            if isOpen { eventLoop.execute(body) }
        }
    }

    func shutDown() async throws {
        isOpen.withLock { $0 = false }
        try await group.shutdownGracefully()
    }
}
