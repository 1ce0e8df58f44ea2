import ApusErrors
import ApusJSON
import ApusTensor

/// The `quantization_config` of config.json, as Apus writes it: `{"quant_method": "apus", "precision": "int8"}`.
///
/// int8: linear weights and word embeddings as int8 with `<name>.scale` (``ChannelQuantization``). int4: linear weights as nibbles with
/// `<name>.scale` (``BlockQuantization``), word embeddings as in int8.
struct QuantizationSettings {
    static let key = "quantization_config"
    static let method = "apus"
    /// What weights can be quantised to.
    static let precisions: [Precision] = [.int8, .int4]

    let precision: Precision

    /// Reads config.json; nil when it says nothing about quantisation.
    /// - Throws: `.unsupportedModel` for other methods, `.invalidCheckpoint` for precisions that are not written.
    init?(_ reader: JSONReader) throws(ApusError) {
        guard reader.optional(Self.key) != nil else { return nil }
        let settings = try reader.reader(Self.key)
        let method = try settings.optionalString("quant_method") ?? ""
        guard method == Self.method else {
            throw ApusError(
                .unsupportedModel, "weights quantised by \(method.debugDescription) are not read", place: settings.place(of: "quant_method"),
                advice: "Serve the floating-point checkpoint; Apus quantises it when it is loaded")
        }
        let name = try settings.string("precision")
        guard let precision = Precision(rawValue: name), Self.precisions.contains(precision) else {
            throw ApusError(
                .invalidCheckpoint, "quantised weights are \(Self.precisions.map(\.rawValue).joined(separator: " or ")), not \(name.debugDescription)",
                place: settings.place(of: "precision"))
        }
        self.precision = precision
    }

    init(_ precision: Precision) {
        self.precision = precision
    }

    var json: JSONValue {
        var object = JSONObject()
        _ = object.append("quant_method", .string(Self.method))
        _ = object.append("precision", .string(precision.rawValue))
        return .object(object)
    }
}

extension EncoderConfiguration.RequiredTensor {
    /// The type and shape of a quantised tensor, and the shape of its scales.
    func layout(_ precision: Precision) -> (type: ElementType, shape: [Int], scales: [Int])? {
        guard shape.count == 2 else { return nil }
        if precision == .int4, role == .linear {
            let blocks = BlockQuantization.blocks(shape[1])
            return (.uint8, [shape[0], blocks, BlockQuantization.blockBytes], [shape[0], blocks])
        }
        return (.int8, shape, [shape[0]])
    }

    /// Refuses a quantised tensor whose type, shape or scales contradict config.json.
    func validate(_ tensor: TensorView, _ weights: WeightStore, _ precision: Precision) throws(ApusError) {
        guard let layout = layout(precision), precision != .int4 || role != .linear || shape[1] % BlockQuantization.blockSize == 0 else {
            throw ApusError(.invalidCheckpoint, "shape \(shape) is not quantised to \(precision.rawValue)", place: tensor.place)
        }
        guard tensor.elementType == layout.type, tensor.shape == layout.shape else {
            throw ApusError(
                .invalidCheckpoint,
                "config.json asks for \(layout.shape) of \(layout.type) in \(precision.rawValue), the tensor is \(tensor.shape) of \(tensor.elementType)",
                place: tensor.place)
        }
        let scaleName = name + WeightStore.scaleEnding
        guard let scales = weights[scaleName] else {
            throw ApusError(.invalidCheckpoint, "the tensor's scales \(scaleName.debugDescription) are missing", place: tensor.place)
        }
        guard scales.elementType == .float32, scales.shape == layout.scales else {
            throw ApusError(
                .invalidCheckpoint, "scales of \(layout.scales) in float32 are wanted, not \(scales.shape) of \(scales.elementType)",
                place: scales.place)
        }
        guard try scales.floats().allSatisfy(\.isFinite) else {
            throw ApusError(.invalidCheckpoint, "a scale is not finite", place: scales.place)
        }
    }
}
