package import ApusDevices
package import ApusPlacement
import ApusTensor

extension PlanDevice {
    /// A device as it was found. CPU devices compute as fast as they have threads; accelerators, whose speed is not known before it was measured,
    /// count alike.
    ///
    /// - Parameter memoryLimitBytes: nil where nobody set one.
    package init(_ device: ResolvedDevice, memoryLimitBytes: Int? = nil) {
        var judge = HealthJudge()
        let health: Health =
            switch device.info.sample.map({ judge.verdict($0, now: 0).outcome }) {
            case .fallBack: .unhealthy
            case .throttle: .throttled
            default: .healthy
            }
        self.init(
            device.id, memoryLimitBytes: memoryLimitBytes, freeBytes: device.info.sample?.memory?.freeBytes, health: health,
            speed: Double(device.cores?.width ?? 1))
    }
}

extension DeviceTopology {
    /// The links that were found.
    package init(_ links: [DeviceLink]) {
        self.init()
        for link in links {
            if link.connection.hasNVLink == true {
                self[link.first, link.second] = .nvlink
            } else if link.connection.canReadPeer == true {
                self[link.first, link.second] = .peerAccess
            }
        }
    }
}
