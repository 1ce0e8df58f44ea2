package import ApusTensor

/// How one device is to be used. Crosses the process boundary as it is.
package struct ExecutorSettings: Sendable, Equatable {
    /// What is done about nodes that the device's provider cannot run.
    package enum Assignment: String, Sendable, CaseIterable {
        /// They run on the CPU, and it is reported.
        case report
        /// The model is refused.
        case strict
    }

    /// TensorRT in front of CUDA.
    package struct TensorRT: Sendable, Equatable {
        /// Where compiled engines are kept.
        package var cacheDirectory: String

        package init(cacheDirectory: String) {
            self.cacheDirectory = cacheDirectory
        }
    }

    package enum CUDAGraphs: String, Sendable, CaseIterable {
        case off
        /// Steps of a shape seen before are replayed instead of launched operator by operator.
        case on
    }

    /// TF32 products on CUDA devices that have them.
    package enum TF32: String, Sendable, CaseIterable {
        case allowed
        case off
    }

    package var device: DeviceID
    /// The UUID of the one CUDA device that the executor's process sees, as its number 0; nil where it sees what this process sees. CUDA numbers
    /// devices anew in every process, so that after the loss of one the others' numbers would name other hardware.
    package var onlyVisibleUUID: String?
    /// The device's number among several that the executor's process sees; nil where it sees all, or one.
    package var visibleIndex: Int?
    /// Steps that run at the same time, 1 or more.
    package var lanes: Int
    /// Threads of each model that compute parts of whatever steps are under way, beside the thread of each lane; 0 has lanes compute alone.
    package var helpers: Int
    /// Cores that the executor's threads are kept on; empty for any.
    package var cores: [Int]
    /// The engine library, by path.
    package var engineLibrary: String
    /// The library of the device's plugin provider, by path; nil for providers that come with the engine.
    package var providerLibrary: String?
    /// Bytes of device memory that the executor may take; nil for all.
    package var memoryLimitBytes: Int?
    package var assignment: Assignment
    package var tensorRT: TensorRT?
    package var cudaGraphs: CUDAGraphs
    package var tf32: TF32
    /// The devices of a group that is one executor, of which ``lanes`` steps are under way at the same time; nil for one device.
    package var group: GroupShape?

    package init(
        device: DeviceID, lanes: Int, cores: [Int] = [], engineLibrary: String, providerLibrary: String? = nil,
        memoryLimitBytes: Int? = nil, assignment: Assignment = .report, tensorRT: TensorRT? = nil, cudaGraphs: CUDAGraphs = .off,
        tf32: TF32 = .allowed
    ) {
        self.device = device
        onlyVisibleUUID = nil
        visibleIndex = nil
        self.lanes = max(1, lanes)
        helpers = 0
        self.cores = cores
        self.engineLibrary = engineLibrary
        self.providerLibrary = providerLibrary
        self.memoryLimitBytes = memoryLimitBytes
        self.assignment = assignment
        self.tensorRT = tensorRT
        self.cudaGraphs = cudaGraphs
        self.tf32 = tf32
        group = nil
    }

    /// The number by which the engine knows the device.
    package var engineIndex: Int { visibleIndex ?? (onlyVisibleUUID == nil ? device.index : 0) }
}
