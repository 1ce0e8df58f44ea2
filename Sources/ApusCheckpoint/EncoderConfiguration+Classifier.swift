import ApusErrors
import ApusTensor

// The heads of transformers' …ForSequenceClassification: a layer over the state of the first token, its activation, and a layer that gives
// the logits. Dropout does nothing outside training.
extension EncoderConfiguration {
    /// The head as modules behind the network.
    /// - Throws: `.invalidCheckpoint` for tensors that are missing or of another shape, `.unsupportedModel` for their types.
    func classifierModules(_ weights: WeightStore, labels: Int, place: String) throws(ApusError) -> [SentenceModule] {
        let names: (dense: String, output: String)
        switch family {
        case .bert: names = ("pooler.dense", "classifier")
        case .roberta, .xlmRoberta, .mpnet: names = ("classifier.dense", "classifier.out_proj")
        case .distilBert: names = ("pre_classifier", "classifier")
        }
        return [
            .pooling(.cls),
            .dense(try head(weights, names.dense, to: hiddenSize, family == .distilBert ? .relu : .tanh, place)),
            .dense(try head(weights, names.output, to: labels, .identity, place)),
        ]
    }

    private func head(
        _ weights: WeightStore, _ name: String, to output: Int, _ activation: Activation, _ place: String
    ) throws(ApusError) -> DenseModule {
        func tensor(_ name: String, _ shape: [Int]) throws(ApusError) -> TensorView {
            guard let view = weights[name] else {
                throw ApusError(
                    .invalidCheckpoint, "tensor \(name.debugDescription) of the classifier's head is missing", place: place,
                    advice: "Save the whole classifier with model.save_pretrained(dir), or leave ForSequenceClassification out of config.json's architectures")
            }
            guard view.shape == shape else {
                throw ApusError(.invalidCheckpoint, "config.json asks for shape \(shape), the tensor has \(view.shape)", place: view.place)
            }
            guard TensorView.floatTypes.contains(view.elementType) else {
                throw ApusError(
                    .unsupportedModel, "weights of type \(view.elementType) are not supported", place: view.place,
                    advice: "Save the model as float32, float16 or bfloat16")
            }
            return view
        }
        return DenseModule(
            weight: try tensor(name + ".weight", [output, hiddenSize]), bias: try tensor(name + ".bias", [output]), activation: activation)
    }
}
