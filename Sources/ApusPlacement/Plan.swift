package import ApusTensor

/// Which device holds which part of a model, and what that weighs.
package struct Plan: Sendable, Equatable {
    /// Bytes on one device.
    package struct Bytes: Sendable, Equatable {
        /// Of the layers' weights.
        package var layers: Int
        /// Of the embedding tables.
        package var embedding: Int
        /// Of what follows the layers.
        package var head: Int
        /// At ``Plan/tokens`` tokens.
        package var activations: Int

        package init(layers: Int, embedding: Int, head: Int, activations: Int) {
            self.layers = layers
            self.embedding = embedding
            self.head = head
            self.activations = activations
        }

        package var total: Int { layers.addingClamped(embedding).addingClamped(head).addingClamped(activations) }
    }

    /// A device's part of a stage.
    package struct Rank: Sendable, Equatable {
        package var device: DeviceID
        package var bytes: Bytes
        /// How long it computes for its share of the work, in units that are the same for all ranks of a plan.
        package var load: Double

        package init(device: DeviceID, bytes: Bytes, load: Double) {
            self.device = device
            self.bytes = bytes
            self.load = load
        }
    }

    /// Consecutive layers, and the devices that share each of them: rank r of n holds the r-th of n equal parts of heads and columns.
    package struct Stage: Sendable, Equatable {
        package var layers: Range<Int>
        /// Never empty.
        package var ranks: [Rank]

        package init(layers: Range<Int>, ranks: [Rank]) {
            self.layers = layers
            self.ranks = ranks
        }
    }

    /// A whole model.
    package struct Replica: Sendable, Equatable {
        /// In the order in which a batch passes them; never empty.
        package var stages: [Stage]

        package init(stages: [Stage]) {
            self.stages = stages
        }

        package var devices: [DeviceID] { stages.flatMap { $0.ranks.map(\.device) } }
    }

    /// Why a plan is not the one that was wished for.
    package struct Step: Sendable, Equatable {
        package enum Kind: String, Sendable, CaseIterable {
            /// A replica of the same shape on other devices.
            case reallocated
            /// A replica on fewer devices.
            case reduced
            /// A replica on one device.
            case oneDevice = "one_device"
            /// A replica less.
            case shrunk
            /// All on the CPU.
            case cpu
        }

        package var kind: Kind
        package var reason: String

        package init(_ kind: Kind, _ reason: String) {
            self.kind = kind
            self.reason = reason
        }
    }

    package var model: String
    package var layerCount: Int
    /// Never empty.
    package var replicas: [Replica]
    /// Tokens of a step that activations are reckoned for.
    package var tokens: Int
    /// Batches in flight in a pipeline that utilisation is reckoned for.
    package var microBatches: Int
    /// Why it is this plan, in a sentence.
    package var reason: String
    /// The way down from the plan that was wished for; empty for that plan.
    package var steps: [Step]

    package init(
        model: String, layerCount: Int, replicas: [Replica], tokens: Int, microBatches: Int, reason: String, steps: [Step] = []
    ) {
        self.model = model
        self.layerCount = layerCount
        self.replicas = replicas
        self.tokens = tokens
        self.microBatches = microBatches
        self.reason = reason
        self.steps = steps
    }
}
