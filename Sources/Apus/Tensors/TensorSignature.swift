import ApusErrors
import ApusExecution
import ApusTensor

/// What one item of a tensor model looks like: the model's inputs and outputs without their first axis, along which items are batched.
struct TensorSignature: Sendable, Equatable {
    /// How items become a step.
    enum Stacking: Sendable, Equatable {
        /// Any number of items of equal shapes, one behind the other along the first axis.
        case together
        /// The first axis is 1: one item a step.
        case alone
    }

    /// In the model's order.
    let inputs: [TensorDescription]
    let outputs: [TensorDescription]
    let stacking: Stacking

    /// Throws `unsupported_model`, naming the input or output, unless all have a first axis of a size that is known only at run time, or all
    /// inputs one of size 1, and elements of a type that crosses into the engine.
    init(_ model: any LoadedModel, name: String) throws(ApusError) {
        guard !model.inputs.isEmpty, !model.outputs.isEmpty else {
            throw ApusError(
                .unsupportedModel, "the model has \(model.inputs.count) inputs and \(model.outputs.count) outputs, at least one of each is needed",
                place: name)
        }
        var stacking = Stacking.together
        for input in model.inputs {
            switch input.shape.first {
            case .symbolic: break
            case .fixed(1): stacking = .alone
            case .fixed(let size):
                throw ApusError(
                    .unsupportedModel, "input '\(input.name)' has a first axis of fixed size \(size), so that items cannot be batched along it",
                    place: name, advice: "Export the model with a first axis of any size, or of size 1")
            case nil:
                throw ApusError(
                    .unsupportedModel, "input '\(input.name)' is a single number: it has no axis along which items could be batched",
                    place: name)
            }
        }
        self.stacking = stacking
        inputs = try model.inputs.map { value throws(ApusError) in try Self.item(value, "input", name) }
        outputs = try model.outputs.map { value throws(ApusError) in
            if case .fixed(let size)? = value.shape.first, stacking == .together || size != 1 {
                throw ApusError(
                    .unsupportedModel, "output '\(value.name)' has a first axis of fixed size \(size) where the items of a batch should be",
                    place: name)
            }
            return try Self.item(value, "output", name)
        }
    }

    /// Items that one step can take.
    func largestBatch(_ most: Int) -> Int { stacking == .together ? most : 1 }

    /// One item from its tensors by name, in the model's order.
    ///
    /// Throws `invalid_value` at `place` followed by the input's name: for inputs that are missing or that the model does not have, and for those of
    /// another element type or shape than the model's.
    func item(_ tensors: [String: Tensor], place: String) throws(ApusError) -> TensorItem {
        if let stranger = tensors.keys.filter({ name in !inputs.contains { $0.name == name } }).min() {
            throw ApusError(
                .invalidValue, "the model has no input '\(stranger)'; it has \(inputs.map { "'\($0.name)'" }.joined(separator: ", "))",
                place: "\(place).\(stranger)")
        }
        var ordered: [HostTensor] = []
        ordered.reserveCapacity(inputs.count)
        for input in inputs {
            guard let tensor = tensors[input.name] else {
                throw ApusError(.invalidValue, "input '\(input.name)' is missing", place: "\(place).\(input.name)")
            }
            try Self.check(tensor, input, place: "\(place).\(input.name)")
            ordered.append(HostTensor(tensor.shape, tensor.elements.lowered))
        }
        return TensorItem(ordered)
    }

    /// The outputs of one item by name.
    func named(_ tensors: [HostTensor]) -> [String: Tensor] {
        Dictionary(zip(outputs.map(\.name), tensors.map(Tensor.init))) { first, _ in first }
    }

    private static func check(_ tensor: Tensor, _ input: TensorDescription, place: String) throws(ApusError) {
        guard tensor.elementType == input.elementType else {
            throw ApusError(.invalidValue, "the elements are \(tensor.elementType), the model takes \(input.elementType)", place: place)
        }
        let fits = tensor.shape.count == input.shape.count && zip(tensor.shape, input.shape).allSatisfy { $1 == nil || $0 == $1 }
        guard fits else {
            let wanted = input.shape.map { $0.map { "\($0)" } ?? "any" }.joined(separator: ", ")
            throw ApusError(
                .invalidValue, "the shape is \(tensor.shape), one item has [\(wanted)]", place: place,
                advice: tensor.shape.count == input.shape.count + 1 ? "Leave the batch axis out: items are batched by Apus" : nil)
        }
    }

    private static func item(_ value: ValueDescription, _ role: String, _ name: String) throws(ApusError) -> TensorDescription {
        guard [.float32, .int32, .int64].contains(value.elementType) else {
            throw ApusError(
                .unsupportedModel, "\(role) '\(value.name)' is \(value.elementType), Apus takes and gives float32, int32 and int64", place: name,
                advice: "Put a Cast behind the model's inputs and before its outputs")
        }
        return TensorDescription(
            name: value.name, elementType: value.elementType,
            shape: value.shape.dropFirst().map { axis in
                if case .fixed(let size) = axis { size } else { nil }
            })
    }
}
