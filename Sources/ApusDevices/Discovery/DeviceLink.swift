package import ApusTensor

/// How two accelerators of this machine are connected.
package struct DeviceLink: Sendable, Equatable {
    /// What is the closest thing that both hang from (`nvmlGpuTopologyLevel_t`), the nearest first.
    package enum Ancestor: Int, Sendable, CaseIterable {
        case sameBoard = 0
        case oneSwitch = 10
        case severalSwitches = 20
        case hostBridge = 30
        case numaNode = 40
        case system = 50
    }

    package struct Connection: Sendable, Equatable {
        package var ancestor: Ancestor?
        /// Whether one can read the other's memory without the host.
        package var canReadPeer: Bool?
        package var hasNVLink: Bool?

        package init(ancestor: Ancestor? = nil, canReadPeer: Bool? = nil, hasNVLink: Bool? = nil) {
            self.ancestor = ancestor
            self.canReadPeer = canReadPeer
            self.hasNVLink = hasNVLink
        }
    }

    package var first: DeviceID
    package var second: DeviceID
    package var connection: Connection

    package init(_ first: DeviceID, _ second: DeviceID, _ connection: Connection) {
        self.first = first
        self.second = second
        self.connection = connection
    }
}
