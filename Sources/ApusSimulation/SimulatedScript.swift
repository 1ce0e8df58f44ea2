package import ApusErrors
package import ApusExecution

/// What a ``SimulatedExecutor`` computes, how long it takes for it, and on what it fails.
package struct SimulatedScript: Sendable {
    /// Nanoseconds of a step: a fixed part and one for each element of its largest input.
    package struct Cost: Sendable, Equatable {
        package var fixed: Int
        package var perElement: Int

        package init(fixed: Int = 0, perElement: Int = 0) {
            self.fixed = fixed
            self.perElement = perElement
        }

        func nanoseconds(_ inputs: [String: HostTensor], times factor: Int) -> Int {
            let elements = inputs.values.lazy.map(\.count).max() ?? 0
            let (variable, tooMany) = perElement.multipliedReportingOverflow(by: elements)
            let (sum, tooLong) = fixed.addingReportingOverflow(variable)
            let (time, tooSlow) = sum.multipliedReportingOverflow(by: factor)
            return tooMany || tooLong || tooSlow ? .max : time
        }
    }

    /// What an input does to every step that it is in.
    package enum Poison: Sendable, Equatable {
        /// The engine refuses the step.
        case fails
        case fault(StepFault)
    }

    package var inputs: [ValueDescription]
    package var outputs: [ValueDescription]
    package var cost = Cost()
    /// Nanoseconds that loading takes.
    package var loadTime = 0
    /// Nanoseconds after which a step that hangs is given up.
    package var hangDetection = 2_000_000_000
    package var memory = DeviceMemory()
    /// What is in a step that makes it fail; nil for nothing.
    package var poison: @Sendable ([String: HostTensor]) -> Poison? = { _ in nil }
    /// Computes the output of this place among ``outputs``.
    package var compute: @Sendable ([String: HostTensor], Int) -> Result<HostTensor, ApusError>

    package init(
        inputs: [ValueDescription], outputs: [ValueDescription],
        compute: @escaping @Sendable ([String: HostTensor], Int) -> Result<HostTensor, ApusError>
    ) {
        self.inputs = inputs
        self.outputs = outputs
        self.compute = compute
    }
}
