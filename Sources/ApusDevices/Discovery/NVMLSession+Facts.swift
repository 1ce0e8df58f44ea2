import CNVML

extension NVMLSession {
    /// What does not change while a GPU is there.
    package struct Facts: Sendable, Equatable {
        package var name: String
        /// `GPU-…`.
        package var uuid: String
        package var bus: PCIBusID?
        package var computeCapability: GPUInfo.ComputeCapability?
        /// NVLink connections that are up.
        package var activeLinks: Int

        package init(
            name: String, uuid: String, bus: PCIBusID? = nil, computeCapability: GPUInfo.ComputeCapability? = nil, activeLinks: Int = 0
        ) {
            self.name = name
            self.uuid = uuid
            self.bus = bus
            self.computeCapability = computeCapability
            self.activeLinks = activeLinks
        }
    }

    /// Nil when the GPU does not say who it is: it is lost, or failing.
    /// - Parameter place: in NVML's order.
    package func facts(_ place: Int) -> Facts? {
        guard devices.indices.contains(place), let handle = devices[place].handle,
            let uuid = Self.text(96, { table.DeviceGetUUID?(handle, $0, $1) }), !uuid.isEmpty
        else { return nil }
        let name = Self.text(96) { table.DeviceGetName?(handle, $0, $1) }
        var info = ApusNvmlPciInfo()
        let bus = table.DeviceGetPciInfo_v3?(handle, &info) == APUS_NVML_SUCCESS
            ? PCIBusID(domain: Int(info.domain), bus: Int(info.bus), device: Int(info.device)) : nil
        var (major, minor): (Int32, Int32) = (0, 0)
        let hasCapability = table.DeviceGetCudaComputeCapability?(handle, &major, &minor) == APUS_NVML_SUCCESS
        return Facts(
            name: name ?? "NVIDIA GPU", uuid: uuid, bus: bus,
            computeCapability: hasCapability ? GPUInfo.ComputeCapability(Int(major), Int(minor)) : nil,
            activeLinks: activeLinks(handle))
    }

    /// How two GPUs are connected; nil when NVML does not tell.
    /// - Parameters: places in NVML's order.
    package func connection(_ first: Int, _ second: Int) -> DeviceLink.Connection? {
        guard devices.indices.contains(first), devices.indices.contains(second), let one = devices[first].handle,
            let other = devices[second].handle
        else { return nil }
        var (level, read, link): (Int32, Int32, Int32) = (0, 0, 0)
        let hasLevel = table.DeviceGetTopologyCommonAncestor?(one, other, &level) == APUS_NVML_SUCCESS
        let hasRead = table.DeviceGetP2PStatus?(one, other, 0, &read) == APUS_NVML_SUCCESS
        let hasLink = table.DeviceGetP2PStatus?(one, other, 2, &link) == APUS_NVML_SUCCESS
        guard hasLevel || hasRead || hasLink else { return nil }
        return DeviceLink.Connection(
            ancestor: hasLevel ? DeviceLink.Ancestor(rawValue: Int(level)) : nil,
            canReadPeer: hasRead ? read == 0 : nil,
            hasNVLink: hasLink ? link == 0 : nil)
    }

    private func activeLinks(_ handle: OpaquePointer) -> Int {
        var active = 0
        for link in 0..<Self.mostLinks {
            var state: Int32 = 0
            // The first link that does not exist ends the list.
            guard table.DeviceGetNvLinkState?(handle, link, &state) == APUS_NVML_SUCCESS else { break }
            if state == 1 { active += 1 }
        }
        return active
    }

    /// `NVML_NVLINK_MAX_LINKS`.
    private static let mostLinks: UInt32 = 36
}
