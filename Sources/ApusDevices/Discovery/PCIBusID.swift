/// Where a GPU is plugged in. Ordered as CUDA orders devices with `CUDA_DEVICE_ORDER=PCI_BUS_ID`.
package struct PCIBusID: Sendable, Hashable, Comparable, CustomStringConvertible {
    package var domain: Int
    package var bus: Int
    package var device: Int

    package init(domain: Int, bus: Int, device: Int) {
        self.domain = domain
        self.bus = bus
        self.device = device
    }

    /// Reads `0000:3b:00.0` and `00000000:3B:00.0`, the function being 0 always; nil for anything else.
    package init?(_ text: some StringProtocol) {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count == 3, let point = parts[2].firstIndex(of: "."), let domain = Int(parts[0], radix: 16),
            let bus = Int(parts[1], radix: 16), let device = Int(parts[2][..<point], radix: 16),
            (0...0xFFFF_FFFF).contains(domain), (0...0xFF).contains(bus), (0...0x1F).contains(device)
        else { return nil }
        self.init(domain: domain, bus: bus, device: device)
    }

    /// `0000:3B:00.0`.
    package var description: String {
        "\(Self.hex(domain, 4)):\(Self.hex(bus, 2)):\(Self.hex(device, 2)).0"
    }

    package static func < (left: PCIBusID, right: PCIBusID) -> Bool {
        (left.domain, left.bus, left.device) < (right.domain, right.bus, right.device)
    }

    private static func hex(_ value: Int, _ digits: Int) -> String {
        let text = String(value, radix: 16, uppercase: true)
        return String(repeating: "0", count: max(0, digits - text.utf8.count)) + text
    }
}
