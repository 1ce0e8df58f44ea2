/// What an operator is told about one device.
package struct DeviceDescription: Sendable, Equatable {
    package enum State: String, Sendable, CaseIterable {
        /// Takes work.
        case serving
        /// Comes up for the first time.
        case starting
        /// Does not serve although it was meant to; ``DeviceDescription/lastReason`` says why.
        case away
        /// Kept for when others fail.
        case standby
        /// No server runs that would use it.
        case unused
    }

    /// Bytes as the engine's allocators count them.
    package struct Memory: Sendable, Equatable {
        package var allocatedBytes: Int
        package var reservedBytes: Int
        package var maxAllocatedBytes: Int
        /// 0 when it is not known.
        package var totalBytes: Int
        /// Allocated in percent of the total, 0 to 100.
        package var utilizationPercent: Double
        /// What the models on it were promised before they were loaded; nil when no account is kept.
        package var promisedBytes: Int?
        /// What the system says its worker takes, files and shared pages in parts; nil without a worker of its own.
        package var workerBytes: Int?
        package var weights = Weights()
        package var buffers = Buffers()

        package init(allocatedBytes: Int, reservedBytes: Int, maxAllocatedBytes: Int, totalBytes: Int, utilizationPercent: Double) {
            self.allocatedBytes = allocatedBytes
            self.reservedBytes = reservedBytes
            self.maxAllocatedBytes = maxAllocatedBytes
            self.totalBytes = totalBytes
            self.utilizationPercent = utilizationPercent
        }
    }

    /// Bytes of the weights that are loaded.
    package struct Weights: Sendable, Equatable {
        /// Of layers; of a network that came as a file all of them.
        package var layers: Int
        /// Of embedding tables.
        package var embedding: Int
        /// Of what follows the layers.
        package var head: Int

        package init(layers: Int = 0, embedding: Int = 0, head: Int = 0) {
            self.layers = layers
            self.embedding = embedding
            self.head = head
        }
    }

    /// Storage of tensors on their way to and from the device.
    package struct Buffers: Sendable, Equatable {
        /// Tensors that were given storage of earlier ones.
        package var hits: Int
        /// Tensors that had to be given new storage instead.
        package var misses: Int
        /// Bytes kept for later ones.
        package var heldBytes: Int
        /// Bytes given back since nothing needed them.
        package var trimmedBytes: Int

        package init(hits: Int = 0, misses: Int = 0, heldBytes: Int = 0, trimmedBytes: Int = 0) {
            self.hits = hits
            self.misses = misses
            self.heldBytes = heldBytes
            self.trimmedBytes = trimmedBytes
        }
    }

    package struct Reason: Sendable, Equatable {
        package var code: String
        /// One sentence.
        package var text: String

        package init(code: String, text: String) {
            self.code = code
            self.text = text
        }
    }

    package struct Health: Sendable, Equatable {
        package struct Finding: Sendable, Equatable {
            package var subject: String
            package var outcome: String
            package var text: String

            package init(subject: String, outcome: String, text: String) {
                self.subject = subject
                self.outcome = outcome
                self.text = text
            }
        }

        /// The worst outcome of the findings, `healthy` without any.
        package var verdict: String
        package var findings: [Finding]

        package init(verdict: String, findings: [Finding] = []) {
            self.verdict = verdict
            self.findings = findings
        }
    }

    /// What became of the batches that it was given.
    package struct Work: Sendable, Equatable {
        package var batches = 0
        package var failures = 0
        package var sequences = 0
        /// Of a batch, moving; nil before the first.
        package var averageLatencyMilliseconds: Double?
        /// Over the last minute.
        package var textsPerSecond = 0.0
        /// Of the last batch that failed.
        package var lastFailure: String?

        package init() {}
    }

    /// The process that holds it.
    package struct Worker: Sendable, Equatable {
        package var pid: Int32
        /// The engine's version.
        package var engine: String

        package init(pid: Int32, engine: String) {
            self.pid = pid
            self.engine = engine
        }
    }

    /// `cuda:1`.
    package var device: String
    package var kind: String
    /// What it is there for: `intended`, `spare`, `standby`.
    package var role: String
    package var name: String
    /// Empty for devices without one.
    package var uuid: String
    package var state: State
    /// How far it is from health: `healthy`, `suspect`, `shrunk`, `restarting`, `quarantined`, `lost`.
    package var stage: String
    /// Whether it is expected back: `none`, `temporary`, `permanent`.
    package var fallback = "none"
    /// What clients that it serves are told; nil while it serves none.
    package var servesAs: String?
    /// Share of a batch's usual size that it is given.
    package var share = 1.0
    package var worker: Worker?
    package var restarts = 0
    /// The kernel's numbers; empty for any.
    package var cores: [Int] = []
    package var lanes = 1
    package var usesTensorRT = false
    package var usesCUDAGraphs = false
    /// A to F, by its recent speed against its usual one; nil before there is enough to compare.
    package var grade: String?
    package var memory: Memory?
    /// What the driver says; nil for a CPU.
    package var gpu: GPUDescription?
    package var work = Work()
    package var lastReason: Reason?
    package var health: Health
    /// Models that it serves now.
    package var models: [String] = []

    package init(device: String, kind: String, role: String, name: String, uuid: String = "", state: State, stage: String, health: Health) {
        self.device = device
        self.kind = kind
        self.role = role
        self.name = name
        self.uuid = uuid
        self.state = state
        self.stage = stage
        self.health = health
    }
}
