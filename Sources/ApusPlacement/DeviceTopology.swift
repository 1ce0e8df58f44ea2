package import ApusTensor

/// How devices reach each other's memory.
package struct DeviceTopology: Sendable, Equatable {
    /// The ways between two devices, the slowest first.
    package enum Link: Int, Sendable, Comparable, CaseIterable {
        /// Through the host's memory.
        case host
        /// Through memory that both compute in.
        case sharedMemory
        /// One reads the other's memory over PCIe.
        case peerAccess
        case nvlink

        package static func < (left: Link, right: Link) -> Bool { left.rawValue < right.rawValue }

        /// The share of their speed that ranks keep beside the two all-reduces of a layer. Assumptions, good for the order of shapes only, until
        /// a group was measured: NVLink carries about twelve times the bytes of PCIe, and ranks on CPUs compute in the memory they exchange.
        var tensorEfficiency: Double {
            switch self {
            case .host: 0.5
            case .sharedMemory: 0.7
            case .peerAccess: 0.75
            case .nvlink: 0.9
            }
        }

        package var words: String {
            switch self {
            case .host: "the host"
            case .sharedMemory: "shared memory"
            case .peerAccess: "PCIe"
            case .nvlink: "NVLink"
            }
        }
    }

    private struct Pair: Hashable {
        let low: DeviceID
        let high: DeviceID

        init(_ first: DeviceID, _ second: DeviceID) {
            (low, high) = first < second ? (first, second) : (second, first)
        }
    }

    private var links: [Pair: Link] = [:]

    package init() {}

    /// The link between two devices, in both directions. Unless it was set, CPU devices share memory and others go through the host.
    package subscript(first: DeviceID, second: DeviceID) -> Link {
        get {
            if let link = links[Pair(first, second)] { return link }
            let computeOnCPU = [first, second].allSatisfy { $0.kind == .cpu || $0.kind == .sim }
            return computeOnCPU ? .sharedMemory : .host
        }
        set { links[Pair(first, second)] = newValue }
    }

    /// The slowest link among `devices`; nil for fewer than two.
    func weakest(among devices: [DeviceID]) -> Link? {
        var weakest: Link?
        for (place, device) in devices.enumerated() {
            for other in devices.dropFirst(place + 1) {
                let link = self[device, other]
                weakest = weakest.map { min($0, link) } ?? link
            }
        }
        return weakest
    }
}
