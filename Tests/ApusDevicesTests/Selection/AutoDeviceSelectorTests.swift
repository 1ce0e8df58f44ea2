import ApusDevices
import ApusErrors
import ApusTensor
import Testing

@Suite struct AutoDeviceSelectorTests {
    private let gibibyte = 1 << 30

    private func gpu(
        _ number: Int, _ kind: DeviceID.Kind = .cuda, free: Int? = 16, score: Double? = nil, health: HealthVerdict = HealthVerdict()
    ) -> DeviceCandidate {
        let info = GPUInfo(device: DeviceID(kind, number), name: "G\(number)", uuid: "GPU-\(number)")
        return DeviceCandidate(info, health: health, freeBytes: free.map { $0 * gibibyte }, score: score)
    }

    private func cpu(_ number: Int = 0, score: Double? = nil) -> DeviceCandidate {
        DeviceCandidate(GPUInfo(device: DeviceID(.cpu, number), name: "CPU"), score: score)
    }

    private func request(_ change: (inout SelectionRequest) -> Void = { _ in }) -> SelectionRequest {
        var request = SelectionRequest(model: "minilm", modelBytes: 2 << 30)
        change(&request)
        return request
    }

    private func chosen(_ selection: DeviceSelection) -> [String] { selection.chosen.map(\.description) }

    private func reasons(_ selection: DeviceSelection, _ device: DeviceID) -> String {
        selection.verdicts.first { $0.device == device }?.reasons.joined(separator: " | ") ?? ""
    }

    @Test func healthyAcceleratorsWithMemoryAndSpeedAreChosen() throws {
        let selection = try AutoDeviceSelector.select(request(), from: [gpu(0, score: 9_000), gpu(1, score: 9_100), cpu(score: 1_000)])
        #expect(Set(chosen(selection)) == ["cuda:0", "cuda:1"])
        #expect(reasons(selection, DeviceID(.cuda, 0)) == "2048 MiB needed, 16384 free | 9 times the CPU's speed (9000 against 1000 texts/s)")
        #expect(reasons(selection, DeviceID(.cpu, 0)).contains("an accelerator can have the model"))
    }

    @Test(arguments: [
        // Each of the three that can fail, and the wish for CPUs, leave the CPU.
        ("memory", "too little memory: 2048 MiB needed, 1024 free"),
        ("limit", "needs 2048 MiB, and the memory limit is 1024"),
        ("speed", "1.5 times the CPU's speed (1500 against 1000 texts/s), and 2 times is asked for"),
        ("health", "unhealthy: 99 C"),
        ("preference", "prefer_gpu is off"),
        ("kinds", "cuda is not in device_preference"),
        ("ids", "not among the devices asked for, cuda:5"),
    ])
    func theCPUTakesOverAndSaysWhy(what: String, reason: String) throws {
        let bad = HealthVerdict([.init(.temperature, .fallBack, "99 C")])
        let candidate = gpu(0, free: what == "memory" ? 1 : 16, score: 1_500, health: what == "health" ? bad : HealthVerdict())
        let wish = request {
            if what == "limit" { $0.memoryLimitBytes = gibibyte }
            if what == "speed" { $0.performanceThreshold = 2 }
            if what == "preference" { $0.preference = .cpu }
            if what == "kinds" { $0.kinds = [.webgpu, .cpu] }
            if what == "ids" { $0.preferredDevices = [DeviceID(.cuda, 5)] }
        }
        let selection = try AutoDeviceSelector.select(wish, from: [candidate, cpu(score: 1_000)])
        #expect(chosen(selection) == ["cpu:0"])
        #expect(selection.verdicts.map(\.isChosen) == [false, true])
        #expect(reasons(selection, DeviceID(.cuda, 0)).contains(reason))
    }

    @Test func withoutACPUNothingIsChosenAndTheErrorTellsWhy() throws {
        let selection = try AutoDeviceSelector.select(request(), from: [gpu(0, free: 1)])
        #expect(selection.chosen.isEmpty)
        let error = #expect(throws: ApusError.self) { try selection.chosenOrThrow() }
        #expect(error?.code == .noDevice && error?.message.contains("cuda:0: too little memory") == true)
        #expect(throws: ApusError.self) { try AutoDeviceSelector.select(request(), from: []).chosenOrThrow() }
    }

    @Test func anUnmeasuredAcceleratorIsTakenOnTrust() throws {
        let selection = try AutoDeviceSelector.select(request { $0.performanceThreshold = 5 }, from: [gpu(0, free: nil), cpu(score: 10)])
        #expect(chosen(selection) == ["cuda:0"])
        #expect(reasons(selection, DeviceID(.cuda, 0)) == "its speed was not measured")
    }

    @Test func theFirstKindOfThePreferenceWinsAndKindsAreNotMixed() throws {
        let candidates = [gpu(0), gpu(0, .webgpu), cpu()]
        let first = try AutoDeviceSelector.select(request { $0.kinds = [.webgpu, .cuda, .cpu] }, from: candidates)
        #expect(chosen(first) == ["webgpu:0"])
        #expect(reasons(first, DeviceID(.cuda, 0)).contains("webgpu devices come first"))
        #expect(chosen(try AutoDeviceSelector.select(request { $0.kinds = [.cuda, .webgpu, .cpu] }, from: candidates)) == ["cuda:0"])
    }

    @Test func healthThenSpeedThenFreeMemoryThenTheNumberDecide() throws {
        let weak = HealthVerdict([.init(.clocks, .throttle, "slowed down")])
        func best(_ candidates: DeviceCandidate...) throws -> [String] {
            chosen(try AutoDeviceSelector.select(request { $0.count = .upTo(1) }, from: candidates))
        }
        #expect(try best(gpu(0, score: 900, health: weak), gpu(1, score: 500)) == ["cuda:1"])
        #expect(try best(gpu(0, score: 500), gpu(1, score: 900)) == ["cuda:1"])
        #expect(try best(gpu(0, free: 4, score: 900), gpu(1, free: 8, score: 900)) == ["cuda:1"])
        #expect(try best(gpu(1), gpu(0)) == ["cuda:0"])
    }

    @Test func aGroupIsChosenByItsConnections() throws {
        let links = [(0, 1, 50, false), (0, 2, 30, false), (0, 3, 50, true), (1, 2, 50, false), (1, 3, 10, false), (2, 3, 50, false)].map {
            DeviceLink(
                DeviceID(.cuda, $0.0), DeviceID(.cuda, $0.1), .init(ancestor: .init(rawValue: $0.2), hasNVLink: $0.3))
        }
        let candidates = (0..<4).map { gpu($0) } + [cpu()]
        let pair = try AutoDeviceSelector.select(request { $0.count = .upTo(2); $0.links = links }, from: candidates)
        #expect(chosen(pair) == ["cuda:0", "cuda:3"])
        #expect(reasons(pair, DeviceID(.cuda, 3)).contains("connected to cuda:0 by NVLink"))
        #expect(reasons(pair, DeviceID(.cuda, 1)).contains("2 devices are wanted, and cuda:0, cuda:3 are preferred"))
        let unlinked = try AutoDeviceSelector.select(
            request { $0.count = .upTo(2); $0.links = links.filter { $0.connection.hasNVLink != true } }, from: candidates)
        #expect(chosen(unlinked) == ["cuda:0", "cuda:2"])
    }

    @Test func anAssignmentIsStrongerThanPreferencesAndNotThanHealthOrMemory() throws {
        let wish = request {
            $0.assignedDevice = DeviceID(.cuda, 1)
            $0.preference = .cpu
            $0.kinds = [.cpu]
        }
        let selection = try AutoDeviceSelector.select(wish, from: [gpu(0), gpu(1), cpu()])
        #expect(chosen(selection) == ["cuda:1"])
        #expect(reasons(selection, DeviceID(.cuda, 0)).contains("minilm is assigned to cuda:1"))
        let full = try AutoDeviceSelector.select(wish, from: [gpu(0), gpu(1, free: 1), cpu()])
        #expect(chosen(full) == ["cpu:0"])
        let second = request { $0.assignedDevice = DeviceID(.cpu, 1) }
        #expect(chosen(try AutoDeviceSelector.select(second, from: [gpu(0), cpu(0), cpu(1)])) == ["cpu:1"])
    }

    @Test func anAssignmentToADeviceThatIsNotThereIsAnErrorThatNamesTheKey() throws {
        let error = #expect(throws: ApusError.self) {
            try AutoDeviceSelector.select(request { $0.assignedDevice = DeviceID(.cuda, 4) }, from: [gpu(0), cpu()])
        }
        #expect(error?.place == "model_assignments.minilm" && error?.advice == "Available: cuda:0, cpu:0")
    }

    @Test func everySelectionIsFitAndExplained() throws {
        var random = SeededGenerator(seed: 31)
        for _ in 0..<3_000 {
            var candidates: [DeviceCandidate] = []
            for number in 0..<Int.random(in: 0...8, using: &random) {
                let outcome = HealthVerdict.Outcome.allCases.randomElement(using: &random) ?? .healthy
                candidates.append(
                    gpu(
                        number, Bool.random(using: &random) ? .cuda : .webgpu, free: Bool.random(using: &random) ? .random(in: 0...4, using: &random) : nil,
                        score: Bool.random(using: &random) ? .random(in: 1...5_000, using: &random) : nil,
                        health: outcome == .healthy ? HealthVerdict() : HealthVerdict([.init(.memory, outcome, "x")])))
            }
            let hasCPU = Bool.random(using: &random)
            if hasCPU { candidates.append(cpu(score: Bool.random(using: &random) ? 1_000 : nil)) }
            let count = Int.random(in: -1...9, using: &random)
            let wish = request {
                $0.count = Bool.random(using: &random) ? .all : .upTo(count)
                $0.performanceThreshold = .random(in: 0...3, using: &random)
                $0.preference = Int.random(in: 0..<8, using: &random) == 0 ? .cpu : .accelerators
            }
            let selection = try AutoDeviceSelector.select(wish, from: candidates)
            #expect(selection.verdicts.map(\.device) == candidates.map(\.device))
            #expect(selection.verdicts.allSatisfy { !$0.reasons.isEmpty })
            #expect(Set(selection.verdicts.filter(\.isChosen).map(\.device)) == Set(selection.chosen))
            #expect(Set(selection.chosen.map(\.kind)).count <= 1)
            #expect(!hasCPU || !selection.chosen.isEmpty)
            if case .upTo = wish.count { #expect(selection.chosen.count <= max(1, count)) }
            for device in selection.chosen where device.kind.isAccelerator {
                let candidate = try #require(candidates.first { $0.device == device })
                #expect(candidate.health.outcome != .fallBack)
                #expect(candidate.freeBytes ?? .max >= wish.modelBytes)
                #expect(wish.preference == .accelerators)
            }
        }
    }
}
