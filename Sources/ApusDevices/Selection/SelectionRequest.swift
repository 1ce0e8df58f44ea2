package import ApusTensor

/// A device that a model could be put on, with what is known of it now.
package struct DeviceCandidate: Sendable, Equatable {
    package var info: GPUInfo
    package var health: HealthVerdict
    /// Bytes that can still be promised; nil when nobody knows.
    package var freeBytes: Int?
    /// Texts a second of the model itself, in a short run on this device; nil when it was not measured.
    package var score: Double?

    package var device: DeviceID { info.device }

    package init(_ info: GPUInfo, health: HealthVerdict = HealthVerdict(), freeBytes: Int? = nil, score: Double? = nil) {
        self.info = info
        self.health = health
        self.freeBytes = freeBytes
        self.score = score
    }
}

/// Where one model should go, as the configuration has it.
package struct SelectionRequest: Sendable, Equatable {
    /// `prefer_gpu`.
    package enum Preference: Sendable, Equatable {
        case accelerators
        case cpu
    }

    package enum Count: Sendable, Equatable {
        case all
        /// The best ones, those of a well connected group when there is a choice; 1 or more.
        case upTo(Int)
    }

    package var model: String
    /// Bytes that the model needs on a device.
    package var modelBytes: Int
    package var preference: Preference
    /// `device_preference`: the kinds that may be used, the first choice first.
    package var kinds: [DeviceID.Kind]
    /// Bytes that a model may take of an accelerator; nil for all.
    package var memoryLimitBytes: Int?
    /// Times the CPU's score that an accelerator must reach.
    package var performanceThreshold: Double
    /// `device_ids`: the accelerators to choose from; empty for all.
    package var preferredDevices: [DeviceID]
    /// `model_assignments`: the device of this model; nil when it has none.
    package var assignedDevice: DeviceID?
    package var count: Count
    package var links: [DeviceLink]

    package init(
        model: String, modelBytes: Int, preference: Preference = .accelerators,
        kinds: [DeviceID.Kind] = [.cuda, .tensorrtrtx, .openvino, .webgpu, .cpu], memoryLimitBytes: Int? = nil,
        performanceThreshold: Double = 1, preferredDevices: [DeviceID] = [], assignedDevice: DeviceID? = nil, count: Count = .all,
        links: [DeviceLink] = []
    ) {
        self.model = model
        self.modelBytes = modelBytes
        self.preference = preference
        self.kinds = kinds
        self.memoryLimitBytes = memoryLimitBytes
        self.performanceThreshold = performanceThreshold
        self.preferredDevices = preferredDevices
        self.assignedDevice = assignedDevice
        self.count = count
        self.links = links
    }
}
