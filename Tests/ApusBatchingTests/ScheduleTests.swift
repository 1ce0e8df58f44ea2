import ApusBatching
import Testing

/// 12,000 random schedules: every item runs, expires or is taken back exactly once, no lane runs two batches, no limit is exceeded, nothing
/// that could run waits without a wake, nothing starves.
@Suite struct ScheduleTests {
    @Test(arguments: 0..<8) func thePromisesHoldOverRandomSchedules(part: Int) throws {
        var launches = 0
        var waits = 0
        for seed in (part * 1000)..<((part + 1) * 1000) {
            let schedule = try RandomSchedule(seed: seed, isPlain: false)
            schedule.run(steps: 40)
            #expect(schedule.failures.isEmpty, "seed \(seed): \(schedule.failures.prefix(3))")
            if !schedule.failures.isEmpty { return }
            launches += schedule.launches
            waits += schedule.waits
        }
        // The schedules exercise what they are to test.
        #expect(launches > 20_000 && waits > 50, "\(launches) batches, \(waits) waits")
    }

    @Test(arguments: 0..<4) func noItemWaitsForMoreBatchesThanOlderItemsWereThere(part: Int) throws {
        for seed in (part * 1000)..<((part + 1) * 1000) {
            let schedule = try RandomSchedule(seed: seed, isPlain: true)
            schedule.run(steps: 40)
            #expect(schedule.failures.isEmpty, "seed \(seed): \(schedule.failures.prefix(3))")
            if !schedule.failures.isEmpty { return }
        }
    }
}
