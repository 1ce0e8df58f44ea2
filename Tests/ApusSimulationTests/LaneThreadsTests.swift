import ApusExecution
import Dispatch
import Foundation
import Testing

@Suite("Threads of lanes")
struct LaneThreadsTests {
    /// Notes numbers from any thread.
    private final class Notes: @unchecked Sendable {
        // `numbers` is guarded by `lock`.
        private let lock = NSLock()
        private var numbers: [Int] = []

        var all: [Int] { lock.withLock { numbers } }
        func add(_ number: Int) { lock.withLock { numbers.append(number) } }
    }

    private func finish(_ group: DispatchGroup) async {
        await withCheckedContinuation { continuation in group.notify(queue: .global()) { continuation.resume() } }
    }

    @Test("One thread runs its work in the order it came")
    func order() async {
        let (notes, group) = (Notes(), DispatchGroup())
        let lanes = LaneThreads(count: 1, name: "test")
        for number in 0..<100 {
            group.enter()
            lanes.submit {
                notes.add(number)
                group.leave()
            }
        }
        await finish(group)
        #expect(notes.all == Array(0..<100))
    }

    @Test("Every thread begins once with its own number, and all of them work at the same time")
    func threads() async {
        let (notes, group) = (Notes(), DispatchGroup())
        let lanes = LaneThreads(count: 3, name: "test") { notes.add($0) }
        // Each waits for the other two.
        let arrived = (0..<3).map { _ in DispatchSemaphore(value: 0) }
        for number in 0..<3 {
            group.enter()
            lanes.submit {
                for other in 0..<3 where other != number { arrived[other].signal() }
                for _ in 0..<2 { arrived[number].wait() }
                group.leave()
            }
        }
        await finish(group)
        #expect(notes.all.sorted() == [0, 1, 2])
    }

    @Test("What is given before and after the end runs all the same")
    func afterTheEnd() async {
        let (notes, group) = (Notes(), DispatchGroup())
        let (lanes, gate) = (LaneThreads(count: 1, name: "test"), DispatchSemaphore(value: 0))
        for number in 0..<3 {
            group.enter()
            lanes.submit {
                if number == 0 { gate.wait() }
                notes.add(number)
                group.leave()
            }
        }
        lanes.close()
        group.enter()
        lanes.submit {
            notes.add(3)
            group.leave()
            gate.signal()
        }
        await finish(group)
        #expect(notes.all == [3, 0, 1, 2])
    }
}
