import ApusErrors
import ApusExecution
import Foundation

/// The chunks of one batch and how far each has come.
final class ChunkStates: @unchecked Sendable {
    // `hidden` is guarded by `lock`.
    let chunks: [any SegmentChunk]
    private let lock = NSLock()
    private var hidden: [HostTensor?]

    init(_ chunks: [any SegmentChunk]) {
        self.chunks = chunks
        hidden = Array(repeating: nil, count: chunks.count)
    }

    /// What the segment before made of a chunk, which the caller alone holds from now on; nil before the first.
    func take(_ place: Int) -> HostTensor? {
        lock.withLock {
            defer { hidden[place] = nil }
            return hidden[place]
        }
    }

    func put(_ state: HostTensor, at place: Int) { lock.withLock { hidden[place] = state } }

    /// In the order of the chunks.
    var results: [HostTensor] { lock.withLock { hidden.compactMap { $0 } } }

    func beginPass() -> Pass { Pass(count: chunks.count) }

    /// Hands each chunk to one thread, once, until one fails.
    final class Pass: @unchecked Sendable {
        // All state is guarded by `lock`.
        private let lock = NSLock()
        private let count: Int
        private var given = 0
        private var error: ApusError?

        init(count: Int) {
            self.count = count
        }

        func next() -> Int? {
            lock.withLock {
                guard error == nil, given < count else { return nil }
                defer { given += 1 }
                return given
            }
        }

        func fail(_ error: ApusError) {
            lock.withLock { if self.error == nil { self.error = error } }
        }

        var failure: ApusError? { lock.withLock { error } }
    }
}
