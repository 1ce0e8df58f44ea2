package import ApusTensor

/// What files, environment and command line say, checked; each part is handed to the room that it concerns.
package struct Configuration: Sendable, Equatable {
    package struct Server: Sendable, Equatable {
        package var host = "127.0.0.1"
        /// 0 lets the system choose.
        package var port = 8080
        package var maxBodyBytes = 32 << 20
        package var maxConnections = 4_096
        package var eventLoopThreads = 1
        package var headerTimeout = Duration.seconds(10)
        package var bodyTimeout = Duration.seconds(30)
        package var idleTimeout = Duration.seconds(75)
        package var writeTimeout = Duration.seconds(30)
        package var drainTimeout = Duration.seconds(30)
    }

    package struct Model: Sendable, Equatable {
        /// A directory, or the name of an installed model.
        package var source: String
        /// What requests call the model; nil for the directory's name.
        package var id: String?
        /// nil for ``Configuration/precision``.
        package var precision: Precision?
        /// nil for ``Configuration/precisionFloor``.
        package var precisionFloor: Double?
        /// nil for ``Configuration/segments``.
        package var segments: Segments?
        /// nil for ``Configuration/offload``.
        package var offload: Offload?
        /// Lowers the checkpoint's own limit.
        package var maxTokens: Int?
        /// What is set here goes before ``Configuration/batching``.
        package var batching = Batching()
        /// What is set here goes before ``Configuration/parallel``.
        package var parallel = Parallel()

        package init(
            source: String, id: String? = nil, precision: Precision? = nil, precisionFloor: Double? = nil, maxTokens: Int? = nil
        ) {
            self.source = source
            self.id = id
            self.precision = precision
            self.precisionFloor = precisionFloor
            self.maxTokens = maxTokens
        }
    }

    /// Parts of a network that run one after the other on one device.
    package enum Segments: Sendable, Equatable {
        /// As few as its memory asks for.
        case auto
        case count(Int)
    }

    /// What is done about weights for which a device has no memory.
    package enum Offload: String, Sendable, CaseIterable {
        case never
        case auto
        case always
    }

    package struct Limits: Sendable, Equatable {
        /// Inputs in one request.
        package var maxInputs = 2_048
        /// UTF-8 bytes of one input text.
        package var maxInputBytes = 1 << 20
        /// Tokens that may wait for a model; more are refused.
        package var maxQueuedTokens = 1_000_000
    }

    package struct Accelerators: Sendable, Equatable {
        package var isEnabled = true
        /// Kinds of device in the order in which they are tried: `cuda`, `mps`, `cpu`, …
        package var preference = ["cuda", "cpu"]
        /// Whether a missing device is replaced by the next in order rather than refused.
        package var isFallbackEnabled = true
        /// The precision on accelerators, as `gpu.optimization` says it; CPUs take ``Configuration/precision``.
        package var precision: Precision?
        /// The same as `gpu.memory` says it.
        package var memoryPrecision: Precision?
        /// CUDA devices to choose from; empty for all.
        package var deviceIDs: [Int] = []
        /// Whether several are used at once.
        package var isMultiple = true
        package var memoryLimitMiB: Int?
        /// Steps that one accelerator is given at the same time; nil leaves the choice to Apus.
        package var streams: Int?
        package var usesTensorRT = false
        package var allowsTF32 = true

        /// Whether weights that do not fit stay in host memory, as `gpu.memory` says it; nil for ``Configuration/offload``.
        package var offloads: Bool?

        /// What is asked of accelerators wherever it was said; nil for ``Configuration/precision``.
        package var effectivePrecision: Precision? { precision ?? memoryPrecision }
    }

    package struct Devices: Sendable, Equatable {
        /// Who may stand in for a device that does not serve.
        package enum Fallback: String, Sendable, CaseIterable {
            case cpu
            case otherDevices = "other_devices"
            case fail
        }

        /// What is done about nodes that a device's provider leaves to the CPU.
        package enum Assignment: String, Sendable, CaseIterable {
            case report
            case strict
        }

        /// `auto`, `cpu:2`, `cuda:0,1`, …; nil for `auto`.
        package var list: String?
        /// Memory of each device to use; accelerators follow ``Accelerators/memoryLimitMiB`` first.
        package var memoryLimitMiB: Int?
        /// nil follows ``Accelerators/isFallbackEnabled``.
        package var fallback: Fallback?
        /// Whether models are computed in this process instead of one worker process for each device.
        package var isInProcess = false
        /// Times the CPU's speed that an accelerator must reach to be used.
        package var performanceThreshold: Double?
        package var assignment = Assignment.report
        package var usesCUDAGraphs = false
        /// Failed batches in a row after which a device is withdrawn for a while, and for good; nil leaves the choice to Apus.
        package var retryLimit: Int?
        package var temporaryLimit: Int?
        /// Between two samples of the sensors.
        package var healthInterval = Duration.seconds(1)
        /// Whether the memory of devices is logged now and then.
        package var logsMemory = false
        /// Between two such lines.
        package var memoryInterval = Duration.seconds(10)
        /// The libraries of plugin providers, by kind of device.
        package var plugins: [String: String] = [:]
    }

    /// How much ONNX Runtime rewrites a graph.
    package enum GraphOptimization: String, Sendable, CaseIterable {
        case none
        case basic
        case extended
        case all
    }

    package var server = Server()
    package var auth = Auth()
    /// Empty for the default model.
    package var models: [Model] = []
    package var limits = Limits()
    package var batching = Batching()
    package var cache = Cache()
    /// The folder with collections; nil for that of the system.
    package var dataDirectory: String?
    package var collections = Collections()
    package var parallel = Parallel()
    package var platformParallel = PlatformParallel()
    package var accelerators = Accelerators()
    package var devices = Devices()
    package var precision = Precision.auto
    /// The lowest cosine to fp32 that a model may have, 0 to 1; nil leaves each precision its own.
    package var precisionFloor: Double?
    package var segments = Segments.auto
    package var offload = Offload.auto
    package var graphOptimization = GraphOptimization.all
    /// Which device index a named role is pinned to.
    package var modelAssignments: [String: Int] = [:]

    package init() {}
}
