import ApusDevices
import ApusErrors
import Testing

@Suite struct DeviceNumberingTests {
    private let uuids = ["GPU-aa000000-0", "GPU-ab000000-1", "GPU-ac000000-2", "GPU-ac110000-3"]

    @Test(arguments: [
        (nil, [0, 1, 2, 3]),
        ("0,1,2,3", [0, 1, 2, 3]),
        ("2,0", [2, 0]),
        (" 2 , 0", [2, 0]),
        ("+3", [3]),
        // As C reads numbers: what follows the digits is not looked at.
        ("1gpu,2x", [1, 2]),
        ("", []),
        ("  ", []),
        ("-1", []),
        ("0,-1,2", [0]),
        ("0,4,2", [0]),
        ("0,,2", [0]),
        (",0", []),
        ("0,99999999999999999999,2", [0]),
        ("NoDevFiles", []),
        ("0,GPU-ab", [0]),
        ("0,0", []),
        ("1,2,1,junk", []),
        ("GPU-ab", [1]),
        ("GPU-ab000000-1,GPU-aa", [1, 0]),
        ("GPU-ac0", [2]),
        // Fits two.
        ("GPU-ac", []),
        ("GPU-aa,GPU-ac,GPU-ab", [0]),
        ("GPU-aa,1", [0]),
        ("GPU-aa,GPU-aa0", []),
        ("GPU-zz", []),
        ("MIG-GPU-aa000000-0/1/0", []),
        ("GPU-aa,MIG-ab", [0]),
    ] as [(String?, [Int])])
    func visibleDevicesFollowCUDAsRules(value: String?, places: [Int]) {
        let visible = VisibleDevices(value).visible(among: uuids)
        #expect(visible.places == places)
        let isComplete = value == nil || (value ?? "").split(separator: ",").count == places.count && !places.isEmpty
        #expect((visible.note == nil) == isComplete)
    }

    @Test func migInstancesAreRefusedByName() {
        #expect(VisibleDevices("MIG-12345").visible(among: uuids).note?.contains("MIG instance") == true)
    }

    @Test func anyValueShowsDistinctDevicesInAPrefixOfItsEntries() {
        var random = SeededGenerator(seed: 5)
        let words = ["0", "1", "2", "3", "7", "-1", "", " ", "x", "GPU-aa", "GPU-ab", "GPU-ac", "GPU-ac1", "MIG-1", "1x", "é"]
        for _ in 0..<5_000 {
            let entries = (0..<Int.random(in: 1...5, using: &random)).map { _ in words.randomElement(using: &random) ?? "" }
            let value = entries.joined(separator: ",")
            let visible = VisibleDevices(value).visible(among: uuids)
            #expect(Set(visible.places).count == visible.places.count)
            #expect(visible.places.allSatisfy(uuids.indices.contains))
            #expect(visible.places.count <= entries.count)
            #expect(visible.note != nil || visible.places.count == entries.count)
            // Whatever stands behind an entry that shows nothing changes nothing, unless it makes a device appear twice.
            if visible.note?.contains("everything behind") == true {
                #expect(VisibleDevices(value + ",junk").visible(among: uuids).places == visible.places)
            }
        }
    }

    private let machine = (0..<4).map {
        DeviceNumbering.Physical(uuid: "GPU-\($0)", bus: PCIBusID(domain: 0, bus: 0x40 - 0x10 * $0, device: 0))
    }

    @Test func cudasOrderIsMatchedByUUID() {
        let numbering = DeviceNumbering.matching(
            [.init(uuid: "GPU-2"), .init(uuid: "GPU-0"), .init(uuid: "GPU-3")], to: machine)
        #expect(numbering == DeviceNumbering(source: .driver, numbers: [2: 0, 0: 1, 3: 2]))
    }

    @Test func devicesOfCUDAThatNVMLDoesNotKnowKeepTheirNumbersAndAreLeftOut() {
        let numbering = DeviceNumbering.matching(
            [
                .init(uuid: "GPU-9"), .init(uuid: "MIG-of-1", bus: PCIBusID(domain: 0, bus: 0x30, device: 0)),
                .init(uuid: "GPU-3", bus: PCIBusID(domain: 0, bus: 0x10, device: 0)),
            ], to: machine)
        #expect(numbering.numbers == [3: 2])
        #expect(numbering.notes.count == 2)
        #expect(numbering.notes.last?.contains("MIG instance of GPU-1") == true)
    }

    @Test func withoutCUDATheBusOrders() {
        let numbering = DeviceNumbering.byBus(machine, why: "no libcuda", visible: VisibleDevices("0,2"), order: "PCI_BUS_ID")
        #expect(numbering.source == .busOrder)
        #expect(numbering.numbers == [3: 0, 1: 1])
        #expect(numbering.notes == ["devices are numbered by PCI bus id: no libcuda"])
    }

    @Test func theAssumedOrderIsSaid() {
        let several = DeviceNumbering.byBus(machine, why: "w", visible: VisibleDevices(nil), order: "FASTEST_FIRST")
        #expect(several.notes.contains { $0.contains("CUDA_DEVICE_ORDER=PCI_BUS_ID") })
        let alone = DeviceNumbering.byBus([machine[0]], why: "w", visible: VisibleDevices(nil), order: nil)
        #expect(alone.numbers == [0: 0] && alone.notes.count == 1)
    }

    @Test func gpusWithoutABusIDComeLastInTheirOrder() {
        let physical: [DeviceNumbering.Physical] = [.init(uuid: "a"), .init(uuid: "b"), machine[0]]
        #expect(DeviceNumbering.byBus(physical, why: "", visible: VisibleDevices(nil), order: nil).numbers == [2: 0, 0: 1, 1: 2])
    }

    @Test(arguments: [
        ("0000:3B:00.0", "0000:3B:00.0"), ("00000000:3b:00.0", "0000:3B:00.0"), ("00010000:07:1f.0", "10000:07:1F.0"), ("3b:00.0", nil), ("0:1:2", nil),
        ("0:100:0.0", nil), ("", nil), ("-1:0:0.0", nil), ("0:0:20.0", nil),
    ])
    func busIDsAreReadInEverySpelling(text: String, description: String?) {
        #expect(PCIBusID(text)?.description == description)
    }

    @Test func theDriverLibraryIsAskedInCUDAsOrder() throws {
        let driver = try FakeDriver("order 6 1 3")
        let devices = try CUDADriver.devices(libraryPath: driver.cudaPath)
        #expect(devices.map(\.uuid) == [6, 1, 3].map(FakeDriver.uuid))
        #expect(devices.map(\.bus) == [6, 1, 3].map { PCIBusID(domain: 0, bus: 0x10 + 0x11 * $0, device: 0) })
    }

    @Test func noVisibleDeviceIsNoFailure() throws {
        let driver = try FakeDriver("cuda code cuInit 100")
        #expect(try CUDADriver.devices(libraryPath: driver.cudaPath).isEmpty)
    }

    @Test func aDriverLibraryThatDoesNotStartIsAnError() throws {
        let driver = try FakeDriver("cuda code cuInit 802")
        let error = #expect(throws: ApusError.self) { try CUDADriver.devices(libraryPath: driver.cudaPath) }
        #expect(error?.code == .cudaUnavailable && error?.message.contains("802") == true)
        #expect(throws: ApusError.self) { try CUDADriver.devices(libraryPath: driver.nvmlPath) }
        #expect(throws: ApusError.self) { try CUDADriver.devices(libraryPath: "libcuda-none.so.1") }
    }
}
