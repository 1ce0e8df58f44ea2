/// Which of NVML's GPUs CUDA shows this process, and by which number.
///
/// NVML counts by PCI bus id, CUDA the fastest device first unless `CUDA_DEVICE_ORDER=PCI_BUS_ID`; so devices are matched by UUID.
package struct DeviceNumbering: Sendable, Equatable {
    package enum Source: Sendable, Equatable {
        /// CUDA's driver library told.
        case driver
        /// It could not be asked; by bus id and `CUDA_VISIBLE_DEVICES`.
        case busOrder
    }

    /// A GPU as NVML describes it.
    package struct Physical: Sendable, Equatable {
        package var uuid: String
        package var bus: PCIBusID?

        package init(uuid: String, bus: PCIBusID? = nil) {
            self.uuid = uuid
            self.bus = bus
        }
    }

    /// A device as CUDA's driver library enumerates it.
    package struct Enumerated: Sendable, Equatable {
        package var uuid: String
        package var bus: PCIBusID?

        package init(uuid: String, bus: PCIBusID? = nil) {
            self.uuid = uuid
            self.bus = bus
        }
    }

    package var source: Source
    /// CUDA's number of each place in the list of physical GPUs; places that are missing are invisible.
    package var numbers: [Int: Int]
    /// What a person should know: entries that show nothing, an order that is assumed.
    package var notes: [String]

    package init(source: Source, numbers: [Int: Int], notes: [String] = []) {
        self.source = source
        self.numbers = numbers
        self.notes = notes
    }

    /// - Parameters:
    ///   - enumerated: in CUDA's order, which has both variables applied already.
    ///   - physical: in any order.
    package static func matching(_ enumerated: [Enumerated], to physical: [Physical]) -> DeviceNumbering {
        var result = DeviceNumbering(source: .driver, numbers: [:])
        for (number, device) in enumerated.enumerated() {
            if let place = physical.firstIndex(where: { $0.uuid.utf8.elementsEqual(device.uuid.utf8) }) {
                result.numbers[place] = result.numbers[place] ?? number
            } else if let bus = device.bus, let place = physical.firstIndex(where: { $0.bus == bus }) {
                result.notes.append(
                    "CUDA device \(number) is a MIG instance of \(physical[place].uuid), which Apus does not run on")
            } else {
                result.notes.append("CUDA device \(number), \(device.uuid), is unknown to NVML and is left out")
            }
        }
        return result
    }

    /// Without CUDA's driver library.
    ///
    /// - Parameters:
    ///   - why: it could not be asked.
    ///   - visible: `CUDA_VISIBLE_DEVICES`.
    ///   - order: `CUDA_DEVICE_ORDER`; nil when it is not set.
    package static func byBus(
        _ physical: [Physical], why: String, visible: VisibleDevices, order: String?
    ) -> DeviceNumbering {
        let places = physical.indices.sorted { left, right in
            switch (physical[left].bus, physical[right].bus) {
            case (let one?, let other?) where one != other: one < other
            case (.some, nil): true
            case (nil, .some): false
            default: left < right
            }
        }
        let shown = visible.visible(among: places.map { physical[$0].uuid })
        var notes = ["devices are numbered by PCI bus id: \(why)"]
        if order != "PCI_BUS_ID", physical.count > 1 {
            notes.append("CUDA itself numbers the fastest device first; set CUDA_DEVICE_ORDER=PCI_BUS_ID for the same numbers")
        }
        if let note = shown.note { notes.append(note) }
        let numbers = shown.places.enumerated().map { (places[$0.element], $0.offset) }
        return DeviceNumbering(source: .busOrder, numbers: Dictionary(numbers) { first, _ in first }, notes: notes)
    }
}
