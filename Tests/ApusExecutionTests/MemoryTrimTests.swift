import ApusExecution
import Testing

@Suite struct MemoryTrimTests {
    private static let second = 1_000_000_000
    private static let much = 64 << 20

    @Test func `Memory is given back once after a burst, when nothing has run for a while`() {
        var trim = MemoryTrim()
        trim.stepEnded(bytes: 1_000, now: 0)
        #expect(trim.look(unused: Self.much, now: 1 * Self.second) == .wait(until: MemoryTrim.idleNanoseconds))
        #expect(trim.look(unused: Self.much, now: 4 * Self.second) == .release(then: nil))
        #expect(trim.look(unused: Self.much, now: 5 * Self.second) == .rest)
    }

    @Test func `The wait begins anew with every step`() {
        var trim = MemoryTrim()
        trim.stepEnded(bytes: 1_000, now: 0)
        trim.stepEnded(bytes: 1_000, now: 3 * Self.second)
        #expect(trim.look(unused: Self.much, now: 5 * Self.second) == .wait(until: 7 * Self.second))
        #expect(trim.look(unused: Self.much, now: 7 * Self.second) == .release(then: nil))
    }

    @Test func `Little is kept, and not looked at again before the next step`() {
        var trim = MemoryTrim()
        trim.stepEnded(bytes: 1_000, now: 0)
        #expect(trim.look(unused: MemoryTrim.leastBytes - 1, now: 10 * Self.second) == .rest)
        #expect(trim.look(unused: Self.much, now: 20 * Self.second) == .rest)
        trim.stepEnded(bytes: 1_000, now: 30 * Self.second)
        #expect(trim.look(unused: Self.much, now: 34 * Self.second) == .release(then: nil))
    }

    @Test func `Memory is given back under way when steps have become small`() {
        var trim = MemoryTrim()
        trim.stepEnded(bytes: 4_000, now: 0)
        var releases: [Int] = []
        for tenth in 1...400 {
            let now = tenth * Self.second / 10
            trim.stepEnded(bytes: 1_000, now: now)
            if case .release(then: .some) = trim.look(unused: Self.much, now: now) { releases.append(now) }
        }
        // The first window still holds the large step.
        #expect(releases == [2 * MemoryTrim.windowNanoseconds])
    }

    @Test(arguments: [1_001, 2_000, 4_000]) func `Memory that steps still need is kept while they come`(bytes: Int) {
        var trim = MemoryTrim()
        trim.stepEnded(bytes: 4_000, now: 0)
        for second in 1...60 {
            trim.stepEnded(bytes: bytes, now: second * Self.second)
            let decision = trim.look(unused: Self.much, now: second * Self.second)
            guard case .wait(let next) = decision else {
                Issue.record("\(decision) after \(second) s of steps of \(bytes) bytes")
                return
            }
            #expect(next > second * Self.second)
        }
    }

    @Test func `Without a step there is nothing to look at`() {
        var trim = MemoryTrim()
        #expect(trim.look(unused: Self.much, now: 0) == .rest)
        #expect(trim.look(unused: Self.much, now: .max) == .rest)
    }

    @Test func `A look at any moment has a next one that comes, and a burst is always followed by one release`() {
        var random = SystemRandomNumberGenerator()
        for _ in 0..<200 {
            var (trim, now) = (MemoryTrim(), 0)
            for _ in 0..<50 {
                now += Int.random(in: 0...Self.second, using: &random)
                trim.stepEnded(bytes: .random(in: 1...1_000_000, using: &random), now: now)
            }
            var releases = 0
            looking: while true {
                switch trim.look(unused: Self.much, now: now) {
                case .rest: break looking
                case .wait(let next):
                    #expect(next > now)
                    now = next
                case .release(let next):
                    releases += 1
                    guard let next else { break looking }
                    #expect(next > now)
                    now = next
                }
            }
            #expect((1...2).contains(releases))
        }
    }
}
