import ApusErrors
import ApusJSON
import ApusTensor

/// The weights of an encoder on their way into a quantised safetensors file.
struct QuantizedWeights {
    private let weights: WeightStore
    private let precision: Precision
    /// What is quantised, in the order of the names.
    private let quantized: [EncoderConfiguration.RequiredTensor]
    private let copied: [TensorView]
    /// By the name of the weight.
    private let calibrated: [String: CalibratedLinear]
    /// Biases that go with calibrated weights, by their own name.
    private let biases: [String: [Float]]
    private let layout: SafetensorsLayout

    /// - Parameter calibrated: what is written for linear layers in int4, by the name of the weight; the others are rounded to the nearest.
    /// - Throws: `.unsupportedModel` for matrices that the blocks of int4 do not divide.
    init(
        _ encoder: EncoderConfiguration, _ weights: WeightStore, _ precision: Precision, _ calibrated: [String: CalibratedLinear] = [:]
    ) throws(ApusError) {
        self.weights = weights
        self.calibrated = calibrated
        self.precision = precision
        quantized = encoder.requiredTensors.filter { $0.role != .other }.sorted { $0.name < $1.name }
        let names = Set(quantized.map(\.name))
        var copied: [TensorView] = []
        for name in weights.names where !names.contains(name) {
            if let view = weights[name] { copied.append(view) }
        }
        self.copied = copied
        var biases: [String: [Float]] = [:]
        for (name, linear) in calibrated {
            if let bias = linear.bias { biases[Self.biasName(name)] = bias }
        }
        self.biases = biases
        var tensors = copied.map { view in
            biases[view.name] == nil
                ? SafetensorsLayout.Tensor(name: view.name, elementType: view.elementType, shape: view.shape, byteCount: view.bytes.count)
                : SafetensorsLayout.Tensor(
                    name: view.name, elementType: .float32, shape: view.shape, byteCount: view.count * MemoryLayout<Float>.stride)
        }
        for required in quantized {
            if precision == .int4, required.role == .linear, required.shape[1] % BlockQuantization.blockSize != 0 {
                throw ApusError(
                    .unsupportedModel, "\(required.shape[1]) columns are not a multiple of \(BlockQuantization.blockSize)",
                    place: required.name, advice: "Quantise to int8")
            }
            guard let layout = required.layout(precision) else { continue }
            for (name, type, shape) in [
                (required.name, layout.type, layout.shape), (required.name + WeightStore.scaleEnding, .float32, layout.scales),
            ] {
                guard let size = ElementCount.bytes(of: shape, type) else {
                    throw ApusError(.invalidCheckpoint, "shape \(shape) is too large", place: name)
                }
                tensors.append(SafetensorsLayout.Tensor(name: name, elementType: type, shape: shape, byteCount: size))
            }
        }
        layout = SafetensorsLayout(tensors, metadata: [("format", "pt")])
    }

    /// - Throws: `.fileUnwritable`, and `.invalidCheckpoint` for weights that are not finite.
    func write(to path: String, progress: (_ done: Int, _ total: Int) -> Void) throws(ApusError) {
        let file = try NewFile(path: path)
        try file.write(layout.header, at: 0)
        for view in copied {
            let offset = layout.offsets[view.name] ?? 0
            if let bias = biases[view.name] {
                guard bias.count == view.count else { throw Self.mismatch(view.name) }
                try file.write(bias, at: offset)
            } else {
                try file.write(view.bytes, at: offset)
            }
        }
        let total = quantized.reduce(0) { $0 + $1.shape.reduce(1, *) }
        var done = 0
        progress(done, total)
        for required in quantized {
            guard let matrix = try weights.matrix(required.name), let values = layout.offsets[required.name],
                let scales = layout.offsets[required.name + WeightStore.scaleEnding]
            else { continue }
            let scaleSize = MemoryLayout<Float>.stride
            if let linear = calibrated[required.name], precision == .int4 {
                let blocks = matrix.rows * BlockQuantization.blocks(matrix.columns)
                guard linear.scales.count == blocks, linear.nibbles.count == blocks * BlockQuantization.blockBytes else {
                    throw Self.mismatch(required.name)
                }
                try file.write(linear.nibbles, at: values)
                try file.write(linear.scales, at: scales)
            } else if precision == .int4, required.role == .linear {
                let blocks = BlockQuantization.blocks(matrix.columns)
                try matrix.readBlocks { first, nibbles, blockScales throws(ApusError) in
                    try file.write(UnsafeRawBufferPointer(nibbles), at: values + first * blocks * BlockQuantization.blockBytes)
                    try file.write(UnsafeRawBufferPointer(blockScales), at: scales + first * blocks * scaleSize)
                }
            } else {
                try matrix.readChannels { first, integers, rowScales throws(ApusError) in
                    try file.write(UnsafeRawBufferPointer(integers), at: values + first * matrix.columns)
                    try file.write(UnsafeRawBufferPointer(rowScales), at: scales + first * scaleSize)
                }
            }
            matrix.releasePages()
            done += matrix.rows * matrix.columns
            progress(done, total)
        }
        try file.finish()
    }

    private static func biasName(_ weight: String) -> String {
        let ending = "weight"
        return weight.hasSuffix(ending) ? weight.dropLast(ending.count) + "bias" : weight + ".bias"
    }

    private static func mismatch(_ name: String) -> ApusError {
        ApusError(.invalidCheckpoint, "what was rounded for its inputs has another shape than the tensor", place: name)
    }

    /// Writes a JSON document.
    static func write(_ value: JSONValue, to path: String) throws(ApusError) {
        var json = JSONWriter()
        json.value(value)
        let file = try NewFile(path: path)
        try file.write(json.bytes + [UInt8(ascii: "\n")], at: 0)
        try file.finish()
    }
}

extension NewFile {
    /// Writes the bytes of an array: `withUnsafeBytes` erases the type of errors, a `Result` does not.
    fileprivate func write<Element: BitwiseCopyable>(_ values: [Element], at offset: Int) throws(ApusError) {
        let result = values.withUnsafeBytes { bytes in Result { () throws(ApusError) in try write(bytes, at: offset) } }
        try result.get()
    }
}
