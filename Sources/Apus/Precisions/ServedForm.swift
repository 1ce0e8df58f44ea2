package import ApusExecution
package import ApusTensor

/// What a model runs as on one device.
package struct ServedForm: Sendable, Equatable {
    package let precision: Precision
    /// nil for a network that came as a file.
    package let form: NetworkForm?
    /// The lowest cosine to the plain fp32 graph that counts as right.
    package let floor: Double
    /// Over the built-in sample; nil where nothing had to be measured.
    package let cosine: Double?

    init(_ choice: PrecisionChoice) {
        precision = choice.form.precision
        form = choice.form
        floor = choice.floor
        cosine = choice.figures?.cosine
    }

    /// A network as its file has it.
    init(file precision: Precision, floor: Double? = nil) {
        self.precision = precision
        form = nil
        self.floor = floor ?? precision.knownAnswerFloor
        cosine = nil
    }

    /// Tells apart what is measured of a model: `kernels-bf16`, `file-fp16`.
    package var label: String { form?.description ?? "file-\(precision.rawValue)" }

    /// `bf16 (cosine to fp32 0.99998, kernels, avx512-bf16)`
    package func words(cosine proof: Double?, features: CPUFeatures = .current) -> String {
        var parts: [String] = []
        if let lowest = [cosine, proof].compactMap({ $0 }).min() { parts.append("cosine to fp32 \(CosineText.of(lowest))") }
        parts.append(form?.style.rawValue ?? "as its file has it")
        if form?.style == .kernels, let instructions = features.instructions(for: precision) { parts.append(instructions) }
        return "\(precision.rawValue) (\(parts.joined(separator: ", ")))"
    }
}
