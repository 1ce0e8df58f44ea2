import ApusDevices
import ApusErrors
import ApusTensor
import Testing

@Suite struct DeviceListTests {
    @Test(arguments: [
        ("auto", .automatic),
        ("cpu", .named([.init(.cpu, .count(1))])),
        ("cpu:2", .named([.init(.cpu, .count(2))])),
        ("sim:8", .named([.init(.sim, .count(8))])),
        ("cuda", .named([.init(.cuda, .all)])),
        ("cuda:0,1", .named([.init(.cuda, .indices([0, 1]))])),
        ("cuda:1,0,cpu", .named([.init(.cuda, .indices([1, 0])), .init(.cpu, .count(1))])),
        ("cpu:3, cuda:7", .named([.init(.cpu, .count(3)), .init(.cuda, .indices([7]))])),
        ("cuda:0,cuda:2,4", .named([.init(.cuda, .indices([0, 2, 4]))])),
        ("openvino,webgpu:0,tensorrtrtx:1", .named([.init(.openvino, .all), .init(.webgpu, .indices([0])), .init(.tensorrtrtx, .indices([1]))])),
    ] as [(String, DeviceList)])
    func listsAreReadAsTheyAreMeant(text: String, list: DeviceList) throws {
        #expect(try DeviceList(text) == list)
    }

    @Test(arguments: [
        ("", "it is empty"), (",", "missing beside a comma"), ("cpu,", "missing beside a comma"), ("auto,cpu", "auto stands alone"),
        ("cpu,auto", "auto stands alone"), ("0", "0 has no kind"), ("cpu:0", "from 1 to 256"), ("cpu:257", "from 1 to 256"),
        ("sim:0", "from 1 to 256"), ("cpu:2,3", "cpu takes one number, how many"), ("cuda,0", "cuda takes numbers behind a colon"),
        ("gpu:0", "no kind of device \"gpu\", only cpu, cuda"), ("CUDA:0", "no kind of device"), ("cuda:", "\"\" behind cuda:"),
        ("cuda:-1", "\"-1\" behind cuda:"), ("cuda:01", "\"01\" behind"), ("cuda:0:1", "\"0:1\" behind"), ("cuda:٣", "is no number"),
        ("cuda:99999999999999999999", "is no number"), ("cuda:0,0", "cuda:0 is named twice"), ("cuda:0,cuda:0", "cuda:0 is named twice"),
        ("cpu,cpu", "cpu is named twice"), ("cpu:2,cpu:1", "cpu is named twice"), ("cuda,cuda:1", "cuda is named twice"),
        ("cuda:1,cuda", "cuda is named twice"), ("cuda:0 1", "is no number"),
    ])
    func anythingElseIsRefusedWithWhatIsWrong(text: String, what: String) {
        let error = #expect(throws: ApusError.self) { try DeviceList(text) }
        #expect(error?.code == .invalidValue && error?.place == "--devices")
        #expect(error?.message.contains(what) == true, "\(error?.message ?? "")")
    }

    @Test func noTextTraps() {
        var random = SeededGenerator(seed: 21)
        let words = ["cpu", "cuda", "sim", "auto", ":", ",", "0", "1", "17", "-", " ", "é", "webgpu", "99999999999"]
        for _ in 0..<20_000 {
            let text = (0..<Int.random(in: 0...7, using: &random)).map { _ in words.randomElement(using: &random) ?? "" }.joined()
            guard let list = try? DeviceList(text), case .named(let selectors) = list else { continue }
            #expect(!selectors.isEmpty && Set(selectors.map(\.kind)).count == selectors.count)
        }
    }

    private var machine: Inventory {
        let gpus = (0..<2).map { GPUInfo(device: DeviceID(.cuda, $0), name: "NVIDIA H200", uuid: "GPU-\($0)") }
        return Inventory(
            cpu: CPUTopology(cores: (0..<4).map { .init(number: $0) }, modelName: "Great CPU"), gpus: gpus,
            engineProviders: ["CUDAExecutionProvider", "CPUExecutionProvider"])
    }

    @Test func twoLogicalCPUDevicesHaveCoresOfTheirOwn() throws {
        let found = try DeviceList("cpu:2").resolve(in: machine)
        #expect(found.devices.map(\.id) == [DeviceID(.cpu, 0), DeviceID(.cpu, 1)])
        #expect(found.devices.map(\.cores?.cores) == [[0, 1], [2, 3]])
        #expect(found.devices[0].info.name == "Great CPU")
        #expect(found.warnings.isEmpty)
    }

    @Test func moreCPUDevicesThanCoresAreReported() throws {
        let found = try DeviceList("cpu:5").resolve(in: machine)
        #expect(found.devices.allSatisfy { $0.cores?.isShared == true })
        #expect(found.warnings == ["5 cpu devices share 4 cores, so they take turns"])
    }

    @Test func namedDevicesKeepTheirOrder() throws {
        #expect(try DeviceList("cpu,cuda:1,0").resolve(in: machine).devices.map(\.id.description) == ["cpu:0", "cuda:1", "cuda:0"])
        #expect(try DeviceList("cuda").resolve(in: machine).devices.map(\.id.description) == ["cuda:0", "cuda:1"])
    }

    @Test func automaticIsEveryAcceleratorAndTheCPU() throws {
        #expect(try DeviceList.automatic.resolve(in: machine).devices.map(\.id.description) == ["cuda:0", "cuda:1", "cpu:0"])
        var alone = machine
        alone.gpus = []
        #expect(try DeviceList.automatic.resolve(in: alone).devices.map(\.id.description) == ["cpu:0"])
    }

    @Test func aDeviceOfTheCommandLineThatIsNotThereIsAnErrorThatNamesWhatIs() throws {
        let error = #expect(throws: ApusError.self) { try DeviceList("cuda:0,3,5").resolve(in: machine) }
        #expect(error?.code == .invalidValue && error?.place == "--devices")
        #expect(error?.message == "cuda:3, cuda:5 cannot be used: there is no cuda device with these numbers")
        #expect(error?.advice == "Available: cpu (4 cores), cuda:0 (NVIDIA H200), cuda:1 (NVIDIA H200)")
    }

    @Test func aDeviceOfAFileThatIsNotThereIsLeftOutWhenFallbackIsEnabled() throws {
        let list = try DeviceList("cuda:0,3")
        let found = try list.resolve(in: machine, origin: .file(key: "devices.list", .isLeftOut))
        #expect(found.devices.map(\.id.description) == ["cuda:0"])
        #expect(found.warnings.count == 1 && found.warnings[0].contains("cuda:3"))
        let none = try DeviceList("cuda:9").resolve(in: machine, origin: .file(key: "k", .isLeftOut))
        #expect(none.devices.map(\.id.description) == ["cpu:0"])
        #expect(none.warnings.count == 2)
        let error = #expect(throws: ApusError.self) { try list.resolve(in: machine, origin: .file(key: "devices.list", .isRefused)) }
        #expect(error?.place == "devices.list")
    }

    @Test func anEngineWithoutTheProviderIsNamed() throws {
        var machine = machine
        machine.engineProviders = ["CPUExecutionProvider"]
        let error = #expect(throws: ApusError.self) { try DeviceList("cuda:0").resolve(in: machine) }
        #expect(error?.message.contains("the engine has no CUDAExecutionProvider, only CPUExecutionProvider") == true)
        #expect(try DeviceList.automatic.resolve(in: machine).devices.map(\.id.description) == ["cpu:0"])
        machine.plugins = [.init(kind: .cuda, library: "libcuda-plugin.so", devices: [])]
        #expect(try DeviceList("cuda:0").resolve(in: machine).devices.first?.providerLibrary == "libcuda-plugin.so")
    }

    @Test func pluginDevicesComeWithTheirLibrary() throws {
        var machine = machine
        let device = GPUInfo(device: DeviceID(.webgpu, 0), name: "Vulkan")
        machine.plugins = [.init(kind: .webgpu, library: "libwebgpu.so", devices: [device]), .init(kind: .openvino, library: "o", devices: [])]
        let found = try DeviceList("webgpu:0,cuda:0").resolve(in: machine)
        #expect(found.devices.map(\.providerLibrary) == ["libwebgpu.so", nil])
        for (text, why) in [("openvino:0", "its provider found no device"), ("tensorrtrtx", "no provider library"), ("webgpu:1", "no webgpu device")] {
            let error = #expect(throws: ApusError.self) { try DeviceList(text).resolve(in: machine) }
            #expect(error?.message.contains(why) == true)
        }
    }

    @Test func withoutGPUsTheMonitorsReasonIsGiven() throws {
        var machine = machine
        machine.gpus = []
        machine.gpuAbsence = "NVML does not start: code 9"
        let error = #expect(throws: ApusError.self) { try DeviceList("cuda").resolve(in: machine) }
        #expect(error?.message == "cuda cannot be used: NVML does not start: code 9")
    }

    @Test func simulatedDevicesAreForTests() throws {
        var machine = machine
        #expect(throws: ApusError.self) { try DeviceList("sim:8").resolve(in: machine) }
        machine.simulation = .allowed
        let found = try DeviceList("sim:8").resolve(in: machine)
        #expect(found.devices.map(\.id) == (0..<8).map { DeviceID(.sim, $0) })
        #expect(found.devices.allSatisfy { $0.cores != nil })
    }
}
