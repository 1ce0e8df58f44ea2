package import ApusExecution

/// What a lane of a worker is asked to run.
package struct StepRequest: Equatable, Sendable {
    /// The most inputs a step may have.
    package static let inputLimit = 256

    /// An input tensor and its place among the model's inputs.
    package struct Input: Equatable, Sendable {
        package var index: Int
        package var tensor: TensorPlacement

        package init(index: Int, tensor: TensorPlacement) {
            self.index = index
            self.tensor = tensor
        }
    }

    /// The number the model was loaded under.
    package var model: UInt32
    /// A place among the model's outputs.
    package var output: Int
    package var memory: WorkingMemory
    /// A fault to be carried out on purpose.
    package var fault: StepFault?
    /// Which device of a group has it, counted through its stages; 0 for an executor of one device.
    package var faultyMember: UInt16
    package var inputs: [Input]

    package init(model: UInt32, output: Int, memory: WorkingMemory, fault: StepFault? = nil, faultyMember: UInt16 = 0, inputs: [Input]) {
        self.model = model
        self.output = output
        self.memory = memory
        self.fault = fault
        self.faultyMember = faultyMember
        self.inputs = inputs
    }
}

extension StepRequest {
    /// The payload of a `step` frame. Places beyond 16 bits, which no model has, are malformed.
    package func encoded() throws(FrameFault) -> [UInt8] {
        guard let place = UInt16(exactly: output), inputs.count <= Self.inputLimit else {
            throw .malformed("a step with \(inputs.count) inputs and output \(output)")
        }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(16 + inputs.count * 64)
        bytes.append(littleEndian: model)
        bytes.append(littleEndian: place)
        bytes.append(memory == .released ? 1 : 0)
        bytes.append(fault?.wire ?? 0)
        bytes.append(littleEndian: faultyMember)
        bytes.append(littleEndian: UInt16(inputs.count))
        for input in inputs {
            guard let index = UInt16(exactly: input.index) else { throw .malformed("input \(input.index)") }
            bytes.append(littleEndian: index)
            input.tensor.encode(into: &bytes)
        }
        return bytes
    }

    package init(decoding payload: [UInt8]) throws(FrameFault) {
        var reader = PayloadReader(payload)
        model = try reader.integer(UInt32.self)
        output = Int(try reader.integer(UInt16.self))
        let flag = try reader.integer(UInt8.self)
        guard flag <= 1 else { throw .malformed("working memory \(flag)") }
        memory = flag == 1 ? .released : .kept
        let number = try reader.integer(UInt8.self)
        fault = StepFault(wire: number)
        guard fault != nil || number == 0 else { throw .malformed("fault \(number)") }
        faultyMember = try reader.integer(UInt16.self)
        let count = Int(try reader.integer(UInt16.self))
        guard count <= Self.inputLimit else { throw .malformed("a step with \(count) inputs") }
        inputs = []
        for _ in 0..<count {
            let index = Int(try reader.integer(UInt16.self))
            inputs.append(Input(index: index, tensor: try TensorPlacement(from: &reader)))
        }
        try reader.end()
    }
}

extension StepFault {
    fileprivate init?(wire: UInt8) {
        guard wire >= 1, Int(wire) <= Self.allCases.count else { return nil }
        self = Self.allCases[Int(wire) - 1]
    }

    fileprivate var wire: UInt8 {
        UInt8(truncatingIfNeeded: (Self.allCases.firstIndex(of: self) ?? -1) + 1)
    }
}
