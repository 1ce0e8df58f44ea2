import ApusErrors
import ApusExecution
import ApusScheduling
import ApusTensor

/// What one caller wants computed once: a tensor for every input of the model, in its order, without a batch axis.
struct TensorItem: BatchInput {
    let tensors: [HostTensor]

    init(_ tensors: [HostTensor]) {
        self.tensors = tensors
    }

    /// An item counts as one, so that the budget of a batch is the number of its items.
    var tokens: Int { 1 }

    /// To hash a picture takes longer than it is worth where equal ones are rare.
    var identity: Never? { nil }

    fileprivate var shapes: [[Int]] { tensors.map(\.shape) }
}

/// A model of any tensors on one device: stacks items of equal shapes along the first axis, runs, and takes the outputs apart again.
struct TensorWork: BatchWork {
    let signature: TensorSignature
    private let model: any LoadedModel
    /// Names the model in errors.
    private let name: String

    /// Throws `unsupported_model` for a model whose items cannot be batched: see ``TensorSignature``.
    init(_ model: any LoadedModel, name: String) throws(ApusError) {
        signature = try TensorSignature(model, name: name)
        self.model = model
        self.name = name
    }

    /// The outputs of each item, in the model's order and without a batch axis. Items of other shapes than the first's take a step of their
    /// own. Throws, besides what the engine does, `unsupported_model` for outputs that do not have a row for each item.
    func run(_ items: [TensorItem]) throws(ApusError) -> [[HostTensor]] {
        var outputs = [[HostTensor]](repeating: [], count: items.count)
        for group in groups(items) {
            let results = try step(group.map { items[$0] })
            for (place, item) in group.enumerated() { outputs[item] = results[place] }
        }
        return outputs
    }

    /// Places of items that run together.
    private func groups(_ items: [TensorItem]) -> [[Int]] {
        guard signature.stacking == .together else { return items.indices.map { [$0] } }
        var order: [[[Int]]] = []
        var groups: [[[Int]]: [Int]] = [:]
        for (place, item) in items.enumerated() {
            let shapes = item.shapes
            if groups[shapes] == nil { order.append(shapes) }
            groups[shapes, default: []].append(place)
        }
        return order.compactMap { groups[$0] }
    }

    private func step(_ items: [TensorItem]) throws(ApusError) -> [[HostTensor]] {
        var inputs: [String: HostTensor] = [:]
        for (place, input) in signature.inputs.enumerated() {
            inputs[input.name] = try HostTensor.stacking(
                items.map { $0.tensors[place] }, in: model.buffers, place: "\(name): input '\(input.name)'")
        }
        let results = try model.run(inputs, outputs: Array(signature.outputs.indices), memory: .kept)
        model.buffers.recycle(inputs.values)
        var rows = [[HostTensor]](repeating: [], count: items.count)
        for (output, result) in zip(signature.outputs, results) {
            guard let parts = result.unstacked(items.count) else {
                throw ApusError(
                    .unsupportedModel, "output '\(output.name)' has the shape \(result.shape) for \(items.count) items: not a row for each",
                    place: name)
            }
            for (row, part) in parts.enumerated() { rows[row].append(part) }
        }
        model.buffers.recycle(results)
        return rows
    }
}
