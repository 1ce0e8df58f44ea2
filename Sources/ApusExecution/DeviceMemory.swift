/// Memory of one device as its allocators count it (DEV-5). The origin documents' names are `allocated_mb` … `utilization_pct`.
package struct DeviceMemory: Sendable, Equatable {
    /// Bytes in use by models and steps, on a CPU with the tables that are read from a mapped file.
    package var allocatedBytes: Int
    /// Bytes taken from the device, in use or kept for later.
    package var reservedBytes: Int
    /// The most ``allocatedBytes`` has been.
    package var maxAllocatedBytes: Int
    /// Bytes the device has, or may use.
    package var totalBytes: Int
    /// Storage of tensors on their way to and from the device, in the memory of the host: in the front and in its worker together.
    package var buffers: BufferUse
    /// Weights of the models that are loaded.
    package var weights: WeightBytes

    /// ``allocatedBytes`` in percent of ``totalBytes``, 0 to 100; 0 when the total is not known.
    package var utilizationPercent: Double {
        totalBytes > 0 ? min(100, 100 * Double(allocatedBytes) / Double(totalBytes)) : 0
    }

    package init(
        allocatedBytes: Int = 0, reservedBytes: Int = 0, maxAllocatedBytes: Int = 0, totalBytes: Int = 0, buffers: BufferUse = BufferUse(),
        weights: WeightBytes = WeightBytes()
    ) {
        self.allocatedBytes = allocatedBytes
        self.reservedBytes = reservedBytes
        self.maxAllocatedBytes = maxAllocatedBytes
        self.totalBytes = totalBytes
        self.buffers = buffers
        self.weights = weights
    }
}

/// How many nodes of a graph each execution provider took.
package struct NodeAssignment: Sendable, Equatable {
    package struct Share: Sendable, Equatable {
        /// The engine's name, `CUDAExecutionProvider`.
        package var provider: String
        package var nodes: Int
        /// Operators among them, each once, in alphabetical order.
        package var operators: [String]

        package init(provider: String, nodes: Int, operators: [String]) {
            self.provider = provider
            self.nodes = nodes
            self.operators = operators
        }
    }

    /// Empty when the engine does not tell.
    package var shares: [Share]

    package init(_ shares: [Share] = []) {
        self.shares = shares
    }
}
