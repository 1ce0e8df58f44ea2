/// What the machine offers that settings may ask for.
package struct MachineFeatures: Sendable, Equatable {
    /// CUDA devices that models can run on; 0 for a machine, or a build, that runs them on CPUs.
    package var cudaDevices: Int

    package init(cudaDevices: Int = 0) {
        self.cudaDevices = cudaDevices
    }
}
