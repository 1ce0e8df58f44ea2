import ApusExecution
import ApusFleet
import Testing

/// Nanoseconds.
private func seconds(_ count: Double) -> Int { Int(count * 1e9) }

@Suite("How devices stand")
struct StandingTests {
    @Test("Recent work is a mean over the last minute, or over what there was of it")
    func recentWork() {
        var work = RecentWork()
        #expect(work.perSecond(now: seconds(5)) == 0)
        work.record(30, now: seconds(10.2))
        #expect(work.perSecond(now: seconds(10.9)) == 30)
        work.record(10, now: seconds(11.5))
        #expect(work.perSecond(now: seconds(13.9)) == 10)
        #expect(work.perSecond(now: seconds(69.9)) == 40.0 / 60)
        #expect(work.perSecond(now: seconds(70)) == 10.0 / 60)
        #expect(work.perSecond(now: seconds(71)) == 0)
        // The place of second 11 is used again.
        work.record(6, now: seconds(71))
        #expect(work.perSecond(now: seconds(71)) == 0.1)
        #expect(work.perSecond(now: seconds(1e6)) == 0)
    }

    @Test("A speed is known after some batches, and told anew when it has changed by a tenth")
    func measuredSpeed() {
        var speed = MeasuredSpeed()
        for _ in 0..<7 { speed.record(tokens: 100, seconds: 0.1) }
        speed.record(tokens: 0, seconds: 1)
        speed.record(tokens: 10, seconds: .nan)
        let unknown = speed.tokensPerSecond()
        #expect(unknown == nil)
        speed.record(tokens: 100, seconds: 0.1)
        let first = speed.tokensPerSecond()
        #expect(first.map { abs($0 - 1000) < 1e-6 } == true)
        speed.record(tokens: 100, seconds: 0.15)
        let same = speed.tokensPerSecond()
        #expect(same == first)
        for _ in 0..<500 { speed.record(tokens: 100, seconds: 0.2) }
        let later = speed.tokensPerSecond()
        #expect(later.map { abs($0 - 500) < 60 } == true)
    }

    @Test("Serving time counts from the first device that served")
    func servingTime() {
        var time = ServingTime()
        #expect(time.share(now: seconds(5)) == nil)
        time.update(isServing: false, now: seconds(5))
        #expect(time.share(now: seconds(6)) == nil)
        time.update(isServing: true, now: seconds(10))
        #expect(time.share(now: seconds(10)) == 1)
        #expect(time.share(now: seconds(20)) == 1)
        time.update(isServing: true, now: seconds(20))
        time.update(isServing: false, now: seconds(25))
        #expect(time.share(now: seconds(30)) == 0.75)
        time.update(isServing: false, now: seconds(30))
        time.update(isServing: true, now: seconds(40))
        #expect(time.share(now: seconds(70)) == 0.75)
    }

    @Test("A worker is asked for its memory once, and again some time after it answered; its successor at once")
    func memoryLook() {
        var look = MemoryLook()
        func isDue(_ worker: Int, at time: Double) -> Bool { look.isDue(worker: worker, now: seconds(time)) }
        #expect(isDue(1, at: 0))
        #expect(!isDue(1, at: 100))
        look.answered(DeviceMemory(allocatedBytes: 7), worker: 1, now: seconds(100))
        #expect(look.latest?.allocatedBytes == 7)
        #expect(!isDue(1, at: 101))
        #expect(isDue(1, at: 102))
        #expect(isDue(2, at: 102))
        // What was not told is not known any more.
        look.answered(nil, worker: 2, now: seconds(103))
        #expect(look.latest == nil)
    }

    @Test(
        "A grade compares recent batches with usual ones",
        arguments: [(0.5, "A"), (1.1, "A"), (1.2, "B"), (1.25, "B"), (1.5, "C"), (1.51, "D"), (2, "D"), (2.01, "F"), (.infinity, "F"), (.nan, "F")])
    func grades(slowdown: Double, grade: String) {
        #expect(PerformanceGrade(slowdown: slowdown).rawValue == grade)
    }
}
