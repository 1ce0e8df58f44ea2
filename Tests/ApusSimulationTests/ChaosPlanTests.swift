import ApusDevices
import ApusExecution
import ApusSimulation
import ApusTensor
import Testing

@Suite struct ChaosPlanTests {
    private static let second = 1_000_000_000
    private let device = DeviceID(.cuda, 0)

    private func faults(_ plan: inout ChaosPlan, _ count: Int, at now: Int = 0) -> [StepFault?] {
        (0..<count).map { _ in plan.next(now) }
    }

    @Test func runsAreCountedFromOne() {
        var plan = ChaosPlan([.init(device, .oom, .run(3), count: 2)])
        #expect(faults(&plan, 6) == [nil, nil, .oom, .oom, nil, nil])
    }

    @Test func timesCountFromTheFirstRun() {
        var plan = ChaosPlan([.init(device, .crash, .time(5 * Self.second), count: 2)])
        #expect(plan.next(100 * Self.second) == nil)
        #expect(plan.next(105 * Self.second - 1) == nil)
        #expect(plan.next(105 * Self.second) == .crash)
        #expect(plan.next(200 * Self.second) == .crash)
        #expect(plan.next(201 * Self.second) == nil)
    }

    @Test func timesCountFromTheMomentTheDeviceServedWhenThatIsTold() {
        var plan = ChaosPlan([.init(device, .crash, .time(5 * Self.second))])
        plan.beganServing(0)
        plan.beganServing(50 * Self.second)
        #expect(plan.next(5 * Self.second) == .crash)
    }

    @Test func severalFailuresForOneRunComeOneAfterTheOther() {
        var plan = ChaosPlan([.init(device, .oom, .run(1)), .init(device, .slow, .run(1)), .init(device, .hang, .run(4))])
        #expect(faults(&plan, 5) == [.oom, .slow, nil, .hang, nil])
    }

    @Test func aLostDeviceStaysLostAndReportsItsXidOnce() {
        var plan = ChaosPlan([.init(device, .lost, .run(2)), .init(device, .oom, .run(3))])
        #expect(plan.next(0) == nil && !plan.isLost)
        let well = DeviceSample(device: device)
        #expect(plan.overlay(well) == well)
        #expect(faults(&plan, 3) == [.lost, .lost, .lost] && plan.isLost)
        let first = plan.overlay(well)
        #expect(first.answer == .lost && first.xids == [79])
        let second = plan.overlay(well)
        #expect(second.answer == .lost && second.xids == [])
    }

    @Test func aThrottledDeviceIsHotInTheNextSample() {
        var plan = ChaosPlan([.init(device, .throttle, .run(1), count: 2)])
        var well = DeviceSample(device: device)
        well.temperatureCelsius = 50
        well.slowdownCelsius = 87
        #expect(plan.overlay(well) == well)
        _ = faults(&plan, 2)
        let hot = plan.overlay(well)
        #expect(hot.clockEvents == .hardwareThermal && hot.temperatureCelsius == 87)
        #expect(plan.overlay(well) == well)
    }

    @Test func aScheduleTakesItsOwnDevicesPart() {
        let script = ChaosScript([.init(device, .oom, .run(1)), .init(DeviceID(.cuda, 1), .crash, .run(1))])
        let schedule = ChaosSchedule(script, device: device, now: { 0 })
        #expect(schedule.faults == [.oom])
        #expect(schedule.faultForNextStep() == .oom)
        #expect(schedule.faultForNextStep() == nil)
    }

    @Test func lanesTogetherGetAsManyFailuresAsWereAskedFor() async {
        let script = ChaosScript([.init(device, .slow, .run(50), count: 100)])
        let schedule = ChaosSchedule(script, device: device, now: { 0 })
        let hits = await withTaskGroup(of: Int.self) { group in
            for _ in 0..<4 {
                group.addTask { (0..<200).count { _ in schedule.faultForNextStep() == .slow } }
            }
            return await group.reduce(0, +)
        }
        #expect(hits == 100)
    }
}
