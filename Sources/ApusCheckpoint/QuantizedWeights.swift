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
    private let layout: SafetensorsLayout

    /// - Throws: `.unsupportedModel` for matrices that the blocks of int4 do not divide.
    init(_ encoder: EncoderConfiguration, _ weights: WeightStore, _ precision: Precision) throws(ApusError) {
        self.weights = weights
        self.precision = precision
        quantized = encoder.requiredTensors.filter { $0.role != .other }.sorted { $0.name < $1.name }
        let names = Set(quantized.map(\.name))
        var copied: [TensorView] = []
        for name in weights.names where !names.contains(name) {
            if let view = weights[name] { copied.append(view) }
        }
        self.copied = copied
        var tensors = copied.map {
            SafetensorsLayout.Tensor(name: $0.name, elementType: $0.elementType, shape: $0.shape, byteCount: $0.bytes.count)
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
        try layout.header.withUnsafeBytes(throwing: { bytes throws(ApusError) in try file.write(bytes, at: 0) })
        for view in copied { try file.write(view.bytes, at: layout.offsets[view.name] ?? 0) }
        let total = quantized.reduce(0) { $0 + $1.shape.reduce(1, *) }
        var done = 0
        progress(done, total)
        for required in quantized {
            guard let matrix = try weights.matrix(required.name), let values = layout.offsets[required.name],
                let scales = layout.offsets[required.name + WeightStore.scaleEnding]
            else { continue }
            let scaleSize = MemoryLayout<Float>.stride
            if precision == .int4, required.role == .linear {
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

    /// Writes a JSON document.
    static func write(_ value: JSONValue, to path: String) throws(ApusError) {
        var json = JSONWriter()
        json.value(value)
        let file = try NewFile(path: path)
        try (json.bytes + [UInt8(ascii: "\n")]).withUnsafeBytes(throwing: { bytes throws(ApusError) in try file.write(bytes, at: 0) })
        try file.finish()
    }
}

extension Array<UInt8> {
    /// `withUnsafeBytes` for bodies that throw `ApusError`: the standard one erases the type.
    fileprivate func withUnsafeBytes(throwing body: (UnsafeRawBufferPointer) throws(ApusError) -> Void) throws(ApusError) {
        let result = withUnsafeBytes { bytes in Result { () throws(ApusError) in try body(bytes) } }
        try result.get()
    }
}
