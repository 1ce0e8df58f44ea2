import Apus
import ApusDevices
import ApusErrors
import ApusExecution
import ApusFleet
import ApusSimulation
import ApusTensor
import Testing

struct FleetPlannerTests {
    private static let cuda = ["CUDAExecutionProvider", "CPUExecutionProvider"]

    private func topology(_ cores: Int) -> CPUTopology {
        CPUTopology(cores: (0..<cores).map { CPUTopology.Core(number: $0) }, modelName: "Test CPU")
    }

    private func gpus(_ numbers: Int..., free: Int = 8 << 30) -> [GPUInfo] {
        numbers.map { number in
            var info = GPUInfo(device: DeviceID(.cuda, number), name: "Test GPU", uuid: "GPU-\(number)")
            var sample = DeviceSample(device: info.device)
            sample.memory = .init(totalBytes: 16 << 30, usedBytes: (16 << 30) - free, freeBytes: free)
            info.sample = sample
            return info
        }
    }

    private func inventory(_ gpus: [GPUInfo] = [], cores: Int = 8, providers: [String] = Self.cuda) -> Inventory {
        Inventory(
            cpu: topology(cores), gpus: gpus, gpuAbsence: gpus.isEmpty ? "this machine has no NVIDIA driver" : nil,
            engineProviders: gpus.isEmpty ? ["CPUExecutionProvider"] : providers, simulation: .allowed)
    }

    private func wishes(_ list: String? = nil, _ origin: DeviceWishes.Origin = .commandLine("--devices")) throws -> DeviceWishes {
        var wishes = DeviceWishes()
        if let list { wishes.list = try DeviceWishes.List(list, origin: origin) }
        return wishes
    }

    private func plan(
        _ wishes: DeviceWishes, _ inventory: Inventory, models: [String] = [], scores: [DeviceID: Double] = [:]
    ) throws -> PlannedFleet {
        try FleetPlanner(
            wishes, inventory, engineLibrary: "engine", models: models.map { FleetPlanner.Need($0, bytes: 1 << 30) }, scores: scores
        ).plan()
    }

    private func roles(_ planned: PlannedFleet, _ role: FleetRecovery.Role) -> [String] {
        planned.fleet.members.filter { $0.role == role }.map(\.settings.device.description)
    }

    private func refusal(_ wishes: DeviceWishes, _ inventory: Inventory, models: [String] = []) -> ApusError? {
        do {
            _ = try plan(wishes, inventory, models: models)
            return nil
        } catch {
            return error as? ApusError
        }
    }

    // MARK: - The CPU

    @Test func `without a GPU auto is one CPU device with a lane for each core`() throws {
        let planned = try plan(wishes(), inventory())
        #expect(planned.devices.map(\.description) == ["cpu:0"])
        let settings = try #require(planned.fleet.members.first).settings
        #expect(settings.lanes == 8 && settings.cores.isEmpty && settings.engineLibrary == "engine")
        #expect(planned.decisions.map(\.reason) == ["this machine has no NVIDIA driver"])
        #expect(planned.notes.isEmpty)
    }

    @Test func `logical CPU devices have disjoint cores while there are enough`() throws {
        let planned = try plan(wishes("cpu:2"), inventory(cores: 5))
        let sets = planned.fleet.members.map(\.settings.cores)
        #expect(sets.map(\.count) == [3, 2])
        #expect(Set(sets.joined()).count == 5)
        #expect(planned.fleet.members.map(\.settings.lanes) == [3, 2])
        #expect(roles(planned, .standby).isEmpty)
        #expect(planned.notes.isEmpty)
    }

    @Test func `fewer cores than CPU devices are shared, which one line says`() throws {
        let planned = try plan(wishes("cpu:4"), inventory(cores: 2))
        #expect(planned.fleet.members.map(\.settings.cores) == [[0], [1], [0], [1]])
        #expect(planned.notes == [.init(.warning, "4 cpu devices share 2 cores, so they take turns")])
    }

    @Test func `simulated devices share the cores out, are marked, and have a CPU standing by`() throws {
        let planned = try plan(wishes("sim:4"), inventory())
        #expect(roles(planned, .intended) == ["sim:0", "sim:1", "sim:2", "sim:3"])
        #expect(roles(planned, .standby) == ["cpu:0"])
        #expect(planned.fleet.members.prefix(4).allSatisfy { $0.settings.lanes == 1 && $0.settings.cores.count == 2 })
        #expect(planned.notes.contains { $0.level == .warning && $0.text.hasPrefix("SIMULATED") })
        for fallback in [RecoveryPolicy.Fallback.fail, .otherDevices] {
            var strict = try wishes("sim:4")
            strict.recovery = try RecoveryPolicy(fallback: fallback)
            #expect(roles(try plan(strict, inventory()), .standby).isEmpty)
        }
    }

    // MARK: - GPUs

    @Test func `auto takes all GPUs, and a CPU stands by`() throws {
        let planned = try plan(wishes(), inventory(gpus(0, 1, 2, 3)))
        #expect(roles(planned, .intended) == ["cuda:0", "cuda:1", "cuda:2", "cuda:3"])
        #expect(roles(planned, .standby) == ["cpu:0"])
        #expect(planned.fleet.members.first?.settings.lanes == 2)
    }

    @Test func `settings choose among the GPUs`() throws {
        var some = try wishes()
        some.choice.cudaDevices = [1, 3]
        #expect(roles(try plan(some, inventory(gpus(0, 1, 2, 3))), .intended) == ["cuda:1", "cuda:3"])
        some.choice.isMultiple = false
        #expect(roles(try plan(some, inventory(gpus(0, 1, 2, 3))), .intended) == ["cuda:1"])
        some.choice.prefersAccelerators = false
        let off = try plan(some, inventory(gpus(0, 1)))
        #expect(roles(off, .intended) == ["cpu:0"] && roles(off, .standby).isEmpty)
        var cpuFirst = try wishes()
        cpuFirst.choice.preference = [.cpu]
        #expect(roles(try plan(cpuFirst, inventory(gpus(0, 1))), .intended) == ["cpu:0"])
    }

    @Test func `GPUs that CUDA_VISIBLE_DEVICES hides are not there`() throws {
        // Discovery numbers the visible ones only: with CUDA_VISIBLE_DEVICES=2 a machine of four has one, number 0.
        let visible = inventory(gpus(0))
        #expect(roles(try plan(wishes("cuda:0"), visible), .intended) == ["cuda:0"])
        let error = try #require(refusal(wishes("cuda:2"), visible))
        #expect(error.code == .invalidValue && error.place == "--devices")
        #expect(error.message.contains("cuda:2") && error.advice?.contains("cuda:0 (Test GPU)") == true)
    }

    @Test func `with a fallback to other devices the GPUs that are not meant stand in`() throws {
        var wishes = try wishes("cuda:1")
        wishes.recovery = try RecoveryPolicy(fallback: .otherDevices)
        let planned = try plan(wishes, inventory(gpus(0, 1, 2)))
        #expect(roles(planned, .intended) == ["cuda:1"])
        #expect(roles(planned, .spare) == ["cuda:0", "cuda:2"])
        #expect(roles(planned, .standby).isEmpty)
    }

    @Test func `a GPU that is lost, full or slow is passed over with the reason`() throws {
        var machine = inventory(gpus(0) + gpus(1, free: 1 << 20) + gpus(2, 3))
        machine.gpus[0].sample = DeviceSample(device: DeviceID(.cuda, 0), answer: .lost)
        let scores = [DeviceID(.cpu, 0): 100.0, DeviceID(.cuda, 2): 50.0, DeviceID(.cuda, 3): 900.0]
        let planned = try plan(wishes(), machine, models: ["m"], scores: scores)
        #expect(roles(planned, .intended) == ["cuda:3"])
        let reasons = planned.decisions.filter { $0.outcome == .passedOver && $0.device.kind == .cuda }.map(\.reason)
        #expect(reasons.count == 3)
        #expect(reasons[1].contains("too little memory") && reasons[2].contains("0.5 times the CPU's speed"))
        #expect(planned.notes.count == 3)
    }

    @Test func `a device that was named is held to a threshold only when there is one`() throws {
        let scores = [DeviceID(.cpu, 0): 100.0, DeviceID(.sim, 0): 50.0]
        var named = try wishes("sim:1")
        #expect(roles(try plan(named, inventory(), scores: scores), .intended) == ["sim:0"])
        named.choice.performanceThreshold = 0.8
        let planned = try plan(named, inventory(), scores: scores)
        #expect(roles(planned, .intended) == ["cpu:0"])
        #expect(planned.decisions.first { $0.device.kind == .sim }?.reason.contains("0.5 times") == true)
    }

    @Test func `an engine without CUDA leaves the GPUs aside under auto and refuses them by name`() throws {
        let machine = inventory(gpus(0), providers: ["CPUExecutionProvider"])
        let planned = try plan(wishes(), machine)
        #expect(roles(planned, .intended) == ["cpu:0"])
        #expect(planned.notes.contains { $0.level == .warning && $0.text.contains("CUDAExecutionProvider") })
        let error = try #require(refusal(wishes("cuda:0"), machine))
        #expect(error.message.contains("the engine has no CUDAExecutionProvider, only CPUExecutionProvider"))
    }

    @Test func `sessions on GPUs are made as asked, those on CPUs are not`() throws {
        var wishes = try wishes("cuda:0,cpu")
        wishes.sessions.memoryLimitBytes = 2 << 30
        wishes.sessions.assignment = .strict
        wishes.sessions.tf32 = .off
        wishes.sessions.lanes = 4
        wishes.sessions.tensorRT = ExecutorSettings.TensorRT(cacheDirectory: "cache")
        let planned = try plan(wishes, inventory(gpus(0), providers: ["TensorrtExecutionProvider"] + Self.cuda))
        let (gpu, cpu) = (planned.fleet.members[0].settings, planned.fleet.members[1].settings)
        #expect(gpu.memoryLimitBytes == 2 << 30 && gpu.assignment == .strict && gpu.tf32 == .off && gpu.lanes == 4)
        #expect(gpu.tensorRT?.cacheDirectory == "cache")
        #expect(cpu.memoryLimitBytes == nil && cpu.assignment == .report && cpu.tensorRT == nil && cpu.lanes == 8)
        let without = try plan(wishes, inventory(gpus(0)))
        #expect(without.fleet.members[0].settings.tensorRT == nil)
        #expect(without.notes.contains { $0.text.contains("TensorRT was asked for") })
    }

    // MARK: - Who asked

    @Test func `a missing device is an error on the command line, a warning in settings with a fallback, an error in settings without`() throws {
        let error = try #require(refusal(wishes("cuda:0"), inventory()))
        #expect(error.code == .invalidValue && error.place == "--devices")
        #expect(error.message.contains("cuda:0") && error.message.contains("no NVIDIA driver") && error.advice?.contains("cpu (8 cores)") == true)

        let settings = DeviceWishes.Origin.settings("apus.yaml:2: devices.list")
        let planned = try plan(wishes("cuda:0", settings), inventory())
        #expect(roles(planned, .intended) == ["cpu:0"])
        #expect(planned.notes.contains { $0.level == .warning && $0.text.contains("apus.yaml:2: devices.list") && $0.text.contains("cuda:0") })

        var strict = try wishes("cuda:0", settings)
        strict.recovery = try RecoveryPolicy(fallback: .fail)
        let refused = try #require(refusal(strict, inventory()))
        #expect(refused.code == .invalidConfiguration && refused.place == "apus.yaml:2: devices.list")
    }

    @Test func `a list that is none is told as an error of where it stands`() {
        let option = #expect(throws: ApusError.self) { try DeviceWishes.List("cpu:x", origin: .commandLine("--devices")) }
        #expect(option?.code == .invalidValue && option?.place == "--devices")
        let file = #expect(throws: ApusError.self) { try DeviceWishes.List("tpu", origin: .settings("a.yaml:1: devices.list")) }
        #expect(file?.code == .invalidConfiguration && file?.place == "a.yaml:1: devices.list")
    }

    // MARK: - Assignments

    private func assigning(_ numbers: [String: Int], list: String? = nil) throws -> DeviceWishes {
        var wishes = try wishes(list)
        wishes.assignments.numbers = numbers
        wishes.assignments.origin = .settings("apus.yaml:9: model_assignments")
        return wishes
    }

    @Test func `models go to the devices that they are assigned to`() throws {
        let numbers = ["one": 0, "two": 1]
        let onGPUs = try plan(assigning(numbers), inventory(gpus(0, 1)), models: ["one", "two", "three"])
        #expect(onGPUs.assignments == ["one": DeviceID(.cuda, 0), "two": DeviceID(.cuda, 1)])
        let onCPUs = try plan(assigning(numbers, list: "cpu:2"), inventory(), models: ["one", "two"])
        #expect(onCPUs.assignments == ["one": DeviceID(.cpu, 0), "two": DeviceID(.cpu, 1)])
    }

    @Test func `a GPU that auto leaves aside is used for the model that is assigned to it`() throws {
        var wishes = try assigning(["two": 1])
        wishes.choice.isMultiple = false
        let planned = try plan(wishes, inventory(gpus(0, 1)), models: ["one", "two"])
        #expect(roles(planned, .intended) == ["cuda:0", "cuda:1"])
        #expect(planned.assignments == ["two": DeviceID(.cuda, 1)])
    }

    @Test func `names that no model has, and numbers where there is but one device, are noted`() throws {
        let strangers = try plan(assigning(["ethics_critic": 3]), inventory(gpus(0)), models: ["one"])
        #expect(strangers.assignments.isEmpty)
        #expect(strangers.notes.contains { $0.text.contains("ethics_critic") && $0.text.contains("no effect") })
        let alone = try plan(assigning(["one": 3]), inventory(), models: ["one"])
        #expect(alone.assignments.isEmpty && alone.notes.contains { $0.text.contains("no effect") })
    }

    @Test func `an assignment that contradicts the list of devices is an error, one to a missing GPU only without a fallback`() throws {
        let error = try #require(refusal(assigning(["one": 2], list: "cpu:2"), inventory(), models: ["one"]))
        #expect(error.code == .invalidConfiguration && error.place == "apus.yaml:9: model_assignments")
        #expect(error.message.contains("one is assigned to cpu:2") && error.message.contains("cpu:0, cpu:1"))

        var wishes = try assigning(["one": 4])
        let planned = try plan(wishes, inventory(gpus(0, 1)), models: ["one"])
        #expect(planned.assignments.isEmpty && planned.notes.contains { $0.level == .warning && $0.text.contains("cuda:4") })
        wishes.recovery = try RecoveryPolicy(fallback: .fail)
        #expect(refusal(wishes, inventory(gpus(0, 1)), models: ["one"])?.code == .invalidConfiguration)
        wishes = try assigning(["one": 1])
        wishes.choice.cudaDevices = [0]
        #expect(refusal(wishes, inventory(gpus(0, 1)), models: ["one"])?.message.contains("not among the devices to be used") == true)
    }
}

struct PlannedChaosTests {
    private func planned(_ list: String) throws -> PlannedFleet {
        var wishes = DeviceWishes()
        wishes.list = try DeviceWishes.List(list, origin: .commandLine("--devices"))
        let topology = CPUTopology(cores: [CPUTopology.Core(number: 0), CPUTopology.Core(number: 1)])
        return try FleetPlanner(wishes, Inventory(cpu: topology, simulation: .allowed), engineLibrary: "engine").plan()
    }

    @Test func `each device has the failures that the script has for it`() throws {
        let planned = try planned("cpu:2")
        let script = try ChaosScript("cpu:1:oom@1", devices: planned.devices)
        let members = try planned.failing(script, execution: .workers(executable: "apus")).fleet.members
        #expect(members[0].faults == nil)
        #expect(members[1].faults?.injector.faultForNextStep() == .oom)
        #expect(members[1].faults?.injector.faultForNextStep() == nil)
    }

    @Test(arguments: [("crash", false), ("sticky", false), ("hang", false), ("oom", true), ("lost", true), ("throttle", true), ("slow", true)])
    func `in this process only failures that a process survives can be had`(_ row: (fault: String, isPossible: Bool)) throws {
        let planned = try planned("cpu")
        let script = try ChaosScript("cpu:0:\(row.fault)@1", devices: planned.devices)
        if row.isPossible {
            #expect(try planned.failing(script, execution: .inProcess).fleet.members[0].faults != nil)
        } else {
            let error = #expect(throws: ApusError.self) { try planned.failing(script, execution: .inProcess) }
            #expect(error?.code == .invalidValue && error?.place == "--chaos")
        }
        #expect(throws: Never.self) { try planned.failing(script, execution: .workers(executable: "apus")) }
    }
}
