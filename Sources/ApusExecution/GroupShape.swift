package import ApusErrors
package import ApusTensor

/// The devices of a group that is one executor: stages, one after the other, each of one or more ranks that compute a stage together.
package struct GroupShape: Sendable, Equatable {
    package struct Member: Sendable, Equatable {
        package var device: DeviceID
        /// Cores that the device's threads are kept on; empty for any.
        package var cores: [Int]
        /// Bytes of device memory that may be taken; nil for all.
        package var memoryLimitBytes: Int?
        /// Of a CUDA device, where it is known.
        package var uuid: String?

        package init(_ device: DeviceID, cores: [Int] = [], memoryLimitBytes: Int? = nil, uuid: String? = nil) {
            self.device = device
            self.cores = cores
            self.memoryLimitBytes = memoryLimitBytes
            self.uuid = uuid
        }
    }

    /// Never empty, nor is any stage.
    package let stages: [[Member]]

    /// More than any machine has devices.
    package static let mostStages = 256
    /// Ranks that can add up what they computed.
    package static let mostRanks = 64

    /// - Throws: `unsupported_plan` for a group or a stage without devices, too many of either, and a device that is in it twice.
    package init(_ stages: [[Member]]) throws(ApusError) {
        guard (1...Self.mostStages).contains(stages.count) else {
            throw ApusError(.unsupportedPlan, "a group has 1 to \(Self.mostStages) stages, not \(stages.count)", place: "stages")
        }
        var seen: Set<DeviceID> = []
        for (index, stage) in stages.enumerated() {
            guard (1...Self.mostRanks).contains(stage.count) else {
                throw ApusError(
                    .unsupportedPlan, "a stage has 1 to \(Self.mostRanks) devices, stage \(index) has \(stage.count)", place: "stages")
            }
            for member in stage where !seen.insert(member.device).inserted {
                throw ApusError(.unsupportedPlan, "\(member.device) is in this group twice", place: "stages")
            }
        }
        self.stages = stages
    }

    /// The UUIDs of the CUDA devices, stage by stage and rank by rank: all that the group's process sees, in this order. Empty unless all are known.
    package var visibleUUIDs: [String] {
        let devices = stages.joined().filter { $0.device.kind == .cuda }
        let uuids = devices.compactMap(\.uuid)
        return uuids.count == devices.count ? uuids : []
    }

    /// The devices, stage by stage.
    package var devices: [[DeviceID]] { stages.map { $0.map(\.device) } }
}

extension GroupShape: CustomStringConvertible {
    /// `[[cpu:0,cpu:1],[cpu:2,cpu:3]]`
    package var description: String {
        "[" + devices.map { "[" + $0.map(\.description).joined(separator: ",") + "]" }.joined(separator: ",") + "]"
    }
}

extension ExecutorSettings {
    /// The settings of one device of a group: those of the group with the device's own in their place, and one lane, because a device of a
    /// group runs one step at a time.
    package func settings(of member: GroupShape.Member) -> ExecutorSettings {
        var settings = self
        settings.group = nil
        settings.device = member.device
        settings.cores = member.cores
        settings.memoryLimitBytes = member.memoryLimitBytes
        settings.lanes = 1
        let visible = group?.visibleUUIDs ?? []
        settings.onlyVisibleUUID = visible.isEmpty ? nil : member.uuid
        settings.visibleIndex = member.uuid.flatMap { visible.firstIndex(of: $0) }
        return settings
    }
}
