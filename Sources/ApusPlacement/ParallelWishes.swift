package import ApusTensor

/// What somebody asks of a plan. What is nil or empty is left to the planner.
package struct ParallelWishes: Sendable, Equatable {
    package enum Strategy: String, Sendable, CaseIterable {
        /// Whole models side by side.
        case dataParallel = "data_parallel"
        /// Layers cut into stages.
        case pipeline
        /// Heads and feed-forward columns cut into shards.
        case tensor
        /// Both.
        case hybrid
        /// Whole models where one device holds one, else what is predicted to be fastest.
        case automatic = "auto"
        /// One device.
        case none
    }

    /// What may take the place of devices that do not serve.
    package enum Fallback: String, Sendable, CaseIterable {
        /// Other devices, then the CPU.
        case cpu
        /// Other devices.
        case otherDevices = "other_devices"
        /// Nothing.
        case fail
    }

    package var strategy = Strategy.automatic
    /// Devices that share each layer.
    package var tensorParallel: Int?
    /// Stages.
    package var pipelineParallel: Int?
    /// Groups of tensorParallel x pipelineParallel devices that hold a whole model each.
    package var replicas: Int?
    /// The only devices to use, in this order.
    package var deviceIDs: [DeviceID] = []
    /// Devices to use before others.
    package var preferredDevices: [DeviceID] = []
    /// Explicit stages.
    package var splits: [SplitPoint] = []
    /// Tensors of a network that came as a file behind which it is cut, one stage more than these.
    package var cuts: [String] = []
    /// The one device of a model, by the model's name.
    package var modelAssignments: [String: DeviceID] = [:]
    package var fallback = Fallback.cpu

    package init() {}

    /// Stages that are asked for; nil for any number.
    package var stages: Int? { pipelineParallel ?? (cuts.isEmpty ? nil : cuts.count + 1) }

    /// The device that a model of this name is to run on alone.
    package func assignedDevice(of model: String) -> DeviceID? {
        modelAssignments.first { $0.key.utf8.elementsEqual(model.utf8) }?.value
    }
}
