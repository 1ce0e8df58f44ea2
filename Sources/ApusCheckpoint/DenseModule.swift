import ApusErrors
import ApusJSON
import ApusTensor

/// A linear layer behind the pooling, with its activation.
package struct DenseModule: Sendable {
    package let inFeatures: Int
    package let outFeatures: Int
    /// `[outFeatures, inFeatures]`
    package let weight: TensorView
    /// `[outFeatures]`
    package let bias: TensorView?
    package let activation: Activation

    /// - Parameters:
    ///   - weight: `[out, in]`.
    ///   - bias: `[out]`.
    init(weight: TensorView, bias: TensorView, activation: Activation) {
        (outFeatures, inFeatures) = (weight.shape[0], weight.shape[1])
        (self.weight, self.bias, self.activation) = (weight, bias, activation)
    }

    /// Reads a Dense module's folder.
    init(_ directory: ModelDirectory, folder: String) throws(ApusError) {
        let reader = try directory.json("config.json")
        inFeatures = try Self.size(reader, "in_features")
        outFeatures = try Self.size(reader, "out_features")
        try SentenceModules.requireSentenceVector(reader)
        if try reader.optionalBool("use_residual") == true {
            throw ApusError(.unsupportedModel, "residual dense layers are not supported", place: reader.place(of: "use_residual"))
        }
        let name = try reader.optionalString("activation_function") ?? "torch.nn.modules.activation.Tanh"
        guard let activation = Activation(torchClass: name) else {
            throw ApusError(
                .unsupportedModel, "activation \(name.debugDescription) is not supported", place: reader.place(of: "activation_function"))
        }
        self.activation = activation

        let file = directory.file(WeightStore.singleFile)
        guard directory.has(WeightStore.singleFile) else {
            throw ApusError(
                directory.has("pytorch_model.bin") ? .unsupportedModel : .invalidCheckpoint,
                "the dense layer's weights are missing", place: file, advice: Checkpoint.conversionAdvice)
        }
        let views = try SafetensorsFile(path: file).tensors
        func tensor(_ name: String, _ shape: [Int]) throws(ApusError) -> TensorView {
            guard let view = views.first(where: { $0.name == name }) else {
                throw ApusError(.invalidCheckpoint, "tensor \(name.debugDescription) is missing", place: file)
            }
            guard view.shape == shape, [.float32, .float16, .bfloat16].contains(view.elementType) else {
                throw ApusError(
                    .invalidCheckpoint, "\(shape) of float32, float16 or bfloat16 is wanted, not \(view.shape) of \(view.elementType)",
                    place: "\(file): tensor \(name.debugDescription)")
            }
            return view.renamed("\(folder)/\(name)")
        }
        weight = try tensor("linear.weight", [outFeatures, inFeatures])
        bias = try reader.optionalBool("bias") ?? true ? try tensor("linear.bias", [outFeatures]) : nil
    }

    private static func size(_ reader: JSONReader, _ key: String) throws(ApusError) -> Int {
        let value = try reader.integer(key)
        guard (1...1 << 20).contains(value) else {
            throw ApusError(.invalidCheckpoint, "\(value) is outside 1 … \(1 << 20)", place: reader.place(of: key))
        }
        return value
    }
}
