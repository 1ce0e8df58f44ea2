import ApusFleet
import ApusPlacement
import ApusTensor
import Testing

@Suite("Which plan is in force while devices go and come")
struct PlanKeeperTests {
    private static let second = 1_000_000_000

    private func keeper(_ devices: Int, tensor: Int? = nil, pipeline: Int? = nil, replicas: Int? = nil) throws -> PlanKeeper {
        PlanKeeper(try TestPlan.plan(devices, tensor: tensor, pipeline: pipeline, replicas: replicas, patience: ParallelPlan.Patience()))
    }

    private func formation(_ keeper: PlanKeeper, _ place: Int = 0) throws -> Formation {
        try #require(keeper.wished.replicas.dropFirst(place).first.flatMap { Formation($0) })
    }

    @Test("A group whose culprit is known goes on without it at once, and with it after a while")
    func knownCulprit() throws {
        var keeper = try keeper(2, tensor: 2)
        let group = try formation(keeper)
        #expect(keeper.current?.description == "[[0,1]]")
        keeper.dissolved(group, culprit: TestPlan.cpu(1), .deviceLost, isOwnFault: true, "cpu:1 is lost", now: 0)
        #expect(!keeper.isLooking && keeper.current?.description == "[[0]]")
        #expect(keeper.takeNews().map(\.kind) == [.dissolved, .oneDevice])
        keeper.found(TestPlan.cpu(1), now: Self.second)
        #expect(keeper.current?.description == "[[0]]" && keeper.held == [TestPlan.cpu(1)])
        keeper.tick(now: 5 * Self.second)
        #expect(keeper.current?.description == "[[0]]")
        keeper.tick(now: 6 * Self.second)
        #expect(keeper.current?.description == "[[0,1]]" && keeper.takeNews().map(\.kind) == [.restored])
    }

    @Test("Without a culprit each device is looked at before anything is planned")
    func looking() throws {
        var keeper = try keeper(2, pipeline: 2)
        let group = try formation(keeper)
        keeper.dissolved(group, culprit: nil, .killed, isOwnFault: false, "its worker was killed", now: 0)
        #expect(keeper.isLooking)
        keeper.found(TestPlan.cpu(0), now: Self.second)
        #expect(keeper.isLooking)
        keeper.found(TestPlan.cpu(1), now: Self.second)
        #expect(!keeper.isLooking && keeper.current == keeper.wished)
        keeper.formed(group, now: 2 * Self.second)
        #expect(keeper.takeNews().map(\.kind) == [.dissolved, .restored] && keeper.lastStep?.cause == .killed)
    }

    @Test("A device that does not show in time that it works is done without")
    func silentDevice() throws {
        var keeper = try keeper(4, tensor: 2, pipeline: 2)
        let group = try formation(keeper)
        #expect(keeper.wished.description == "[[0,1],[2,3]]")
        keeper.dissolved(group, culprit: nil, .crashed, isOwnFault: true, "its worker crashed", now: 0)
        for index in [0, 1, 3] { keeper.found(TestPlan.cpu(index), now: Self.second) }
        #expect(keeper.isLooking && keeper.nextWake == 3 * Self.second)
        keeper.tick(now: 3 * Self.second)
        #expect(!keeper.isLooking && keeper.away == [TestPlan.cpu(2)])
        #expect(keeper.current.map { Set($0.devices) }?.contains(TestPlan.cpu(2)) == false)
        #expect(keeper.takeNews().map(\.kind) == [.dissolved, .reduced])
    }

    @Test("A device that fails again and again is left out twice as long each time, and forgiven when its plan has held")
    func hysteresis() throws {
        var keeper = try keeper(2, tensor: 2)
        let group = try formation(keeper)
        var now = 0
        var holds: [Int] = []
        for _ in 0..<4 {
            keeper.dissolved(group, culprit: TestPlan.cpu(1), .deviceLost, isOwnFault: true, "cpu:1 is lost", now: now)
            keeper.found(TestPlan.cpu(1), now: now)
            let due = try #require(keeper.nextWake)
            holds.append((due - now) / Self.second)
            now = due
            keeper.tick(now: now)
            #expect(keeper.current == keeper.wished)
        }
        #expect(holds == [5, 10, 20, 40])
        keeper.served(group, since: now, now: now + 59 * Self.second)
        #expect(keeper.isTroubled(TestPlan.cpu(1)))
        keeper.served(group, since: now, now: now + 60 * Self.second)
        #expect(!keeper.isTroubled(TestPlan.cpu(1)))
    }

    @Test("A group that ends again and again with nobody to blame goes apart for a while")
    func blameless() throws {
        var keeper = try keeper(2, tensor: 2)
        let group = try formation(keeper)
        for round in 0..<3 {
            keeper.dissolved(group, culprit: nil, .crashed, isOwnFault: true, "its worker crashed", now: round * Self.second)
            for index in 0..<2 { keeper.found(TestPlan.cpu(index), now: round * Self.second) }
            #expect(keeper.current?.description == (round < 2 ? "[[0,1]]" : "[[0]]"))
        }
        // Kills from outside are nobody's fault, however many.
        var killed = try self.keeper(2, tensor: 2)
        for round in 0..<10 {
            killed.dissolved(group, culprit: nil, .killed, isOwnFault: false, "its worker was killed", now: round * Self.second)
            for index in 0..<2 { killed.found(TestPlan.cpu(index), now: round * Self.second) }
            #expect(killed.current == killed.wished)
        }
        keeper.tick(now: 7 * Self.second)
        #expect(keeper.current == keeper.wished)
    }

    @Test("Replicas only shrink and grow again, and a free device takes the place of one that is lost")
    func dataParallel() throws {
        var full = try keeper(3)
        full.lost(TestPlan.cpu(1), .killed, now: 0)
        #expect(full.current?.description == "[[[0]],[[2]]]" && full.takeNews().map(\.kind) == [.shrunk])
        full.servesAgain(TestPlan.cpu(1), now: Self.second)
        #expect(full.current == full.wished && full.takeNews().map(\.kind) == [.restored])

        var spare = try keeper(3, replicas: 2)
        spare.lost(TestPlan.cpu(0), .killed, now: 0)
        #expect(spare.current.map { Set($0.devices) } == [TestPlan.cpu(1), TestPlan.cpu(2)] && spare.takeNews().map(\.kind) == [.reallocated])
    }

    @Test("Without anything that may take its place, nobody serves, until the device is back")
    func nobody() throws {
        var keeper = PlanKeeper(try TestPlan.plan(2, kind: .sim, fallback: .fail))
        for index in 0..<2 { keeper.lost(DeviceID(.sim, index), .deviceLost, now: index) }
        #expect(keeper.current == nil && keeper.takeNews().map(\.kind) == [.shrunk, .nobody])
        keeper.servesAgain(DeviceID(.sim, 0), now: 5)
        #expect(keeper.current?.description == "[[0]]")
        #expect(keeper.takeNews().last?.kind == .restored)
    }

    @Test("Scaling changes how many replicas are wished for, and refuses more than there are devices for")
    func scaling() throws {
        var keeper = try keeper(3, replicas: 1)
        let grew = keeper.scale(to: 2, "a long queue", now: 0)
        #expect(grew && keeper.current?.description == "[[[0]],[[1]]]")
        let grewTooFar = keeper.scale(to: 4, "a long queue", now: 1)
        #expect(!grewTooFar && keeper.replicas == 2)
        let shrank = keeper.scale(to: 1, "a short queue", now: 2)
        #expect(shrank && keeper.current?.description == "[[0]]")
        #expect(keeper.takeNews().map(\.kind) == [.scaledUp, .scaledDown])
    }

    @Test("Whatever is lost and found in whatever order, the plan comes to be what was wished for")
    func anyOrder() throws {
        var random = SeededGenerator(seed: 4)
        for _ in 0..<30 {
            let devices = Int.random(in: 2...6, using: &random)
            let tensor = [1, 2].randomElement(using: &random) ?? 1
            let pipeline = min(devices / tensor, [1, 2, 3].randomElement(using: &random) ?? 1)
            guard tensor * pipeline > 1 else { continue }
            var keeper = try keeper(devices, tensor: tensor, pipeline: pipeline)
            var now = 0
            for _ in 0..<12 {
                now += Int.random(in: 0...(2 * Self.second), using: &random)
                let device = TestPlan.cpu(Int.random(in: 0..<devices, using: &random))
                if Bool.random(using: &random) { keeper.lost(device, .deviceLost, now: now) } else { keeper.found(device, now: now) }
                keeper.tick(now: now)
                if let current = keeper.current, !current.steps.contains(where: { $0.kind == .cpu }) {
                    #expect(Set(current.devices).isDisjoint(with: keeper.away))
                }
            }
            for index in 0..<devices { keeper.found(TestPlan.cpu(index), now: now) }
            for _ in 0..<20 {
                guard let due = keeper.nextWake else { break }
                keeper.tick(now: due)
            }
            #expect(keeper.current == keeper.wished && keeper.away.isEmpty)
        }
    }
}

struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    /// SplitMix64 (Steele, Lea and Flood 2014).
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var word = state
        word = (word ^ (word >> 30)) &* 0xBF58_476D_1CE4_E5B9
        word = (word ^ (word >> 27)) &* 0x94D0_49BB_1331_11EB
        return word ^ (word >> 31)
    }
}
