package import ApusErrors
import ApusJSON
package import ApusTensor

extension Checkpoint {
    /// Writes a quantised copy of the model into `directory`, which must not exist or be empty. Without
    /// `calibrated` it serves exactly as this checkpoint does when it is quantised at load. Linear weights and word embeddings are quantised (``QuantizationSettings`` says how); everything else of
    /// the model is copied, other forms of its weights (ONNX, PyTorch, …) are left out. config.json comes last, so that a copy cut short is refused when it is read.
    ///
    /// - Parameters:
    ///   - precision: int8 or int4.
    ///   - calibrated: linear layers in int4 that were rounded for what they see, by the name of their weight.
    ///   - progress: called with the weights quantised so far and all that will be, in elements.
    /// - Throws: `.unsupportedPrecision`; `.unsupportedModel` for ONNX files, quantised checkpoints and matrices that blocks do not divide;
    ///   `.invalidCheckpoint` for weights that are not finite; `.fileUnreadable`; `.fileUnwritable`.
    package func quantized(
        to precision: Precision, into directory: String, calibrated: [String: CalibratedLinear] = [:], progress: (_ done: Int, _ total: Int) -> Void
    ) throws(ApusError) {
        guard QuantizationSettings.precisions.contains(precision) else {
            throw ApusError(
                .unsupportedPrecision, "weights are not quantised to \(precision.rawValue)",
                advice: "They are to \(QuantizationSettings.precisions.map(\.rawValue).joined(separator: " or "))")
        }
        guard case .encoder(let encoder, let weights) = source else {
            throw ApusError(.unsupportedModel, "the weights of ONNX files are not quantised", place: self.directory)
        }
        guard quantization == nil else {
            throw ApusError(.unsupportedModel, "the weights are quantised already", place: self.directory)
        }
        let home = try ModelDirectory(self.directory)
        let transformer = try SentenceModules(home).transformer
        let tree = ModelTree(home, transformer: transformer)
        let target = try tree.makeTarget(directory)
        let weightsFile = target.file(tree.transformerPath(WeightStore.singleFile))
        try QuantizedWeights(encoder, weights, precision, calibrated).write(to: weightsFile, progress: progress)
        for path in tree.copied { try tree.copy(path, to: target) }
        let configuration = tree.transformerPath("config.json")
        try QuantizedWeights.write(
            Self.configuration(try home.jsonValue(configuration), QuantizationSettings(precision), home.file(configuration)),
            to: target.file(configuration))
    }

    private static func configuration(
        _ value: JSONValue, _ settings: QuantizationSettings, _ place: String
    ) throws(ApusError) -> JSONValue {
        var object = JSONObject()
        for (key, value) in try value.objectValue(at: place, code: .invalidCheckpoint).entries
        where !key.utf8.elementsEqual(QuantizationSettings.key.utf8) {
            _ = object.append(key, value)
        }
        _ = object.append(QuantizationSettings.key, settings.json)
        return .object(object)
    }
}
