package import ApusErrors
package import ApusTensor

/// What was asked for about the arithmetic of one model.
package struct PrecisionRequest: Sendable, Hashable {
    package var precision: Precision
    /// On accelerators, where it is another than ``precision``.
    package var accelerators: Precision?
    /// The lowest cosine to fp32 that is served, 0 to 1; nil leaves each precision its own.
    package var floor: Double?

    package init(_ precision: Precision = .auto, accelerators: Precision? = nil, floor: Double? = nil) {
        self.precision = precision
        self.accelerators = accelerators
        self.floor = floor
    }

    /// Throws `invalid_value` for a floor that no cosine is, or every one.
    package init(_ precision: Precision, checkedFloor floor: Double?) throws(ApusError) {
        if let floor, !(0...1).contains(floor) {
            throw ApusError(.invalidValue, "a lowest cosine is from 0 to 1, not \(floor)", place: "precision_floor")
        }
        self.init(precision, floor: floor)
    }

    package func precision(on kind: DeviceID.Kind) -> Precision {
        kind.isAccelerator ? accelerators ?? precision : precision
    }

    /// The cosine that a network of `precision` has to reach.
    package func floor(of precision: Precision) -> Double { floor ?? precision.knownAnswerFloor }
}

extension Precision {
    /// The lowest cosine to the plain graph at which a model of this precision counts as right, unless somebody asks for another.
    package var knownAnswerFloor: Double {
        switch self {
        case .fp32, .fp16, .bf16, .auto: 0.9999
        case .int8: 0.99
        case .int4: 0.95
        }
    }
}
