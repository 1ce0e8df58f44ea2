import ApusErrors
import ApusExecution
import ApusORT
import ApusRuntime
import ApusTensor
import CApusKernels
import Foundation
import Testing

/// The kernels as operators of the engine, against the kernels themselves.
@Suite(.serialized) struct CustomOperatorTests {
    private let tokens = OperatorNode.tokens
    private let width = OperatorNode.width
    private let inner = OperatorNode.inner
    private let heads = OperatorNode.heads
    private let starts = OperatorNode.starts
    private static let formats = [APUS_FORMAT_FP32.rawValue, APUS_FORMAT_BF16.rawValue, APUS_FORMAT_INT8.rawValue]

    private var x: [Float] { OperatorNode.x().float32 ?? [] }

    private func bits(_ values: [Float]?) -> [UInt32] { values?.map(\.bitPattern) ?? [] }

    /// What `kernel` writes into `rows` rows of the layer's width, and its scratch memory.
    private func direct(
        rows: Int, columns: Int, scratch: Int = 0, _ kernel: (UnsafeMutablePointer<Float>, UnsafeMutableRawPointer) -> apus_result
    ) -> [Float] {
        let memory = AlignedBytes(count: scratch)
        var y = [Float](repeating: .nan, count: rows * columns)
        let result = y.withUnsafeMutableBufferPointer { buffer in
            buffer.baseAddress.map { kernel($0, memory.pointer) }
        }
        return result == APUS_OK ? y : []
    }

    @Test(arguments: formats)
    func linearIsTheKernelToTheBit(format: Int32) async throws {
        let packed = AlignedBytes.linear(inner, width, apus_format(rawValue: format))
        let bias = numbers(inner, seed: 4)
        for (bias, activation) in [(bias, "gelu"), (nil, "none"), (bias, "tanh")] as [([Float]?, String)] {
            let y = try await OperatorNode.linear(packed, bias: bias, activation: activation).run()
            let scratch = apus_linear_scratch(packed.pointer, Int64(tokens))
            let kind = activation == "gelu" ? APUS_ACT_GELU : activation == "tanh" ? APUS_ACT_TANH : APUS_ACT_NONE
            let expected = direct(rows: tokens, columns: inner, scratch: scratch) { out, scratch in
                if let bias {
                    apus_linear(packed.pointer, bias, kind, x, Int64(tokens), out, scratch)
                } else {
                    apus_linear(packed.pointer, nil, kind, x, Int64(tokens), out, scratch)
                }
            }
            #expect(y.shape == [tokens, inner] && !expected.isEmpty)
            #expect(bits(y.float32) == bits(expected))
        }
    }

    @Test(arguments: formats)
    func feedForwardIsTheKernelToTheBit(format: Int32) async throws {
        let format = apus_format(rawValue: format)
        let (up, down) = (AlignedBytes.linear(inner, width, format), AlignedBytes.linear(width, inner, format, seed: 2))
        let (upBias, downBias) = (numbers(inner, seed: 5), numbers(width, seed: 6))
        let y = try await OperatorNode.feedForward(up, down, upBias: upBias, downBias: downBias).run()
        let scratch = apus_feed_forward_scratch(up.pointer, down.pointer, Int64(tokens))
        let expected = direct(rows: tokens, columns: width, scratch: scratch) { out, scratch in
            apus_feed_forward(
                up.pointer, upBias, APUS_ACT_GELU, down.pointer, downBias, OperatorNode.gamma, OperatorNode.beta, 1e-5, x,
                Int64(tokens), out, scratch)
        }
        #expect(y.shape == [tokens, width] && !expected.isEmpty)
        #expect(bits(y.float32) == bits(expected))
    }

    @Test(arguments: formats)
    func selfAttentionIsTheKernelToTheBit(format: Int32) async throws {
        let format = apus_format(rawValue: format)
        let (qkv, out) = (AlignedBytes.linear(3 * width, width, format), AlignedBytes.linear(width, width, format, seed: 2))
        let (qkvBias, outBias) = (numbers(3 * width, seed: 5), numbers(width, seed: 6))
        for relative in [nil, numbers(heads * 8 * 8, seed: 7)] {
            let y = try await OperatorNode.selfAttention(qkv, out, qkvBias: qkvBias, outBias: outBias, relativeBias: relative).run()
            let scratch = apus_self_attention_scratch(qkv.pointer, out.pointer, Int64(heads), starts, 2)
            let expected = direct(rows: tokens, columns: width, scratch: scratch) { y, scratch in
                relative.withPointer { bias in
                    apus_self_attention(
                        qkv.pointer, qkvBias, out.pointer, outBias, Int64(heads), 0.25, bias, bias == nil ? 0 : 8, OperatorNode.gamma,
                        OperatorNode.beta, 1e-5, x, starts, 2, y, scratch)
                }
            }
            #expect(y.shape == [tokens, width] && !expected.isEmpty)
            #expect(bits(y.float32) == bits(expected))
        }
    }

    @Test func embeddingIsTheKernelToTheBit() async throws {
        let (words, positions) = (AlignedBytes.table(50, width), AlignedBytes.table(16, width, seed: 2))
        let types = AlignedBytes.table(2, width, seed: 3)
        let (ids, typeIDs): ([Int32], [Int32]) = ([3, 49, 0, 7], [0, 1, 1, 0])
        let places: [Int32] = [0, 1, 2, 3]
        for withTypes in [true, false] {
            let y = try await OperatorNode.embed(words, positions, types: withTypes ? types : nil, ids: ids, types: typeIDs).run()
            let expected = direct(rows: 4, columns: width) { out, _ in
                typeIDs.withUnsafeBufferPointer { kinds in
                    apus_embed(
                        words.pointer, positions.pointer, withTypes ? UnsafeRawPointer(types.pointer) : nil, OperatorNode.gamma,
                        OperatorNode.beta, 1e-5, ids, places, withTypes ? kinds.baseAddress : nil, 4, out)
                }
            }
            #expect(y.shape == [4, width] && !expected.isEmpty)
            #expect(bits(y.float32) == bits(expected))
        }
    }

    @Test(arguments: ["mean", "cls", "last", "max", "mean_sqrt_length", "weighted_mean"].enumerated().map { ($0.offset, $0.element) })
    func poolingIsTheKernelToTheBit(mode: Int, name: String) async throws {
        let y = try await OperatorNode.pool(name).run()
        let expected = direct(rows: 2, columns: width) { out, _ in apus_pool(Int32(mode), x, Int64(width), starts, 2, out) }
        #expect(y.shape == [2, width] && !expected.isEmpty)
        #expect(bits(y.float32) == bits(expected))
    }

    @Test func noRowsGiveNoRows() async throws {
        var node = OperatorNode.linear(.linear(inner, width))
        node.inputs["x"] = HostTensor([0, width], .float32([]))
        #expect(try await node.run() == HostTensor([0, inner], .float32([])))
    }

    private func failure(_ node: OperatorNode) async -> ApusError? {
        do {
            _ = try await node.run()
            return nil
        } catch {
            return error as? ApusError
        }
    }

    @Test func whatDoesNotFitIsTold() async throws {
        let (up, down) = (AlignedBytes.linear(inner, width), AlignedBytes.linear(width, inner))
        let (qkv, out) = (AlignedBytes.linear(3 * width, width), AlignedBytes.linear(width, width))
        let (words, positions) = (AlignedBytes.table(50, width), AlignedBytes.table(2, width))
        func attention() -> OperatorNode {
            .selfAttention(qkv, out, qkvBias: numbers(3 * width, seed: 1), outBias: numbers(width, seed: 1))
        }
        var cases: [(OperatorNode, String)] = []
        func add(_ node: OperatorNode, _ sentence: String, _ change: (inout OperatorNode) -> Void = { _ in }) {
            var node = node
            change(&node)
            cases.append((node, sentence))
        }
        add(.linear(up), "input 'packed' is for 128 by 64, 128 by 32 fits here") { $0.inputs["x"] = OperatorNode.x(columns: 32) }
        add(.linear(up), "input 'x' has 1 dimensions, not 2") { $0.inputs["x"] = HostTensor([4], .float32([1, 2, 3, 4])) }
        add(.linear(up, bias: [1, 2]), "input 'bias' is not one row of 128 elements")
        add(.linear(up, activation: "swish"), "attribute 'activation' has no choice 'swish'")
        add(
            .feedForward(up, up, upBias: numbers(inner, seed: 1), downBias: numbers(width, seed: 1)),
            "input 'down' is for 128 by 64, 64 by 128 fits here")
        add(
            .feedForward(up, down, upBias: numbers(width, seed: 1), downBias: numbers(width, seed: 1)),
            "input 'up_bias' is not one row of 128 elements")
        add(attention(), "input 'starts' ends with 6, there are 7 rows") { $0.inputs["starts"] = OperatorNode.integers([0, 6]) }
        add(attention(), "input 'starts' begins with 1, not with 0") { $0.inputs["starts"] = OperatorNode.integers([1, 7]) }
        add(attention(), "input 'starts' does not rise at 2") { $0.inputs["starts"] = OperatorNode.integers([0, 7, 7]) }
        add(attention(), "input 'starts' does not rise at 2") { $0.inputs["starts"] = OperatorNode.integers([0, .max, .min, 7]) }
        add(attention(), "input 'starts' is not one row of at least one element") { $0.inputs["starts"] = OperatorNode.integers([]) }
        add(attention(), "64 channels cannot be shared by 5 heads") { $0.attributes["heads"] = .int(5) }
        add(attention(), "attribute 'heads' cannot be 0") { $0.attributes["heads"] = .int(0) }
        add(attention(), "attribute 'scale' cannot be nan") { $0.attributes["scale"] = .float(.nan) }
        add(attention(), "attribute with name:'epsilon'") { $0.attributes["epsilon"] = nil }
        add(
            .selfAttention(
                qkv, out, qkvBias: numbers(3 * width, seed: 1), outBias: numbers(width, seed: 1), relativeBias: numbers(heads * 16, seed: 1),
                size: 4),
            "a sequence has 5 tokens, input 'relative_bias' is for 4")
        add(
            .embed(words, positions, types: nil, ids: [3, 50], types: []),
            "input 'input_ids' has the id 50 at 1, the table 'words' has 50 rows")
        add(.embed(words, positions, types: nil, ids: [-1], types: []), "input 'input_ids' has the id -1 at 0")
        add(
            .embed(words, positions, types: nil, ids: [1, 2, 3], types: []),
            "input 'position_ids' has the id 2 at 2, the table 'positions' has 2 rows")
        add(.pool("median"), "attribute 'mode' has no choice 'median'")
        add(.pool("mean"), "input 'starts' ends with 5, there are 7 rows") { $0.inputs["starts"] = OperatorNode.integers([0, 5]) }
        for (node, sentence) in cases {
            let error = await failure(node)
            #expect(
                error?.code == .engineFailure && error?.message.contains(sentence) == true, "\(sentence): \(String(describing: error))")
        }
        #expect(try await OperatorNode.linear(up).run().shape == [tokens, inner])
    }

    @Test func aCorruptBlobDoesNotLoad() async throws {
        for damage in [0, 8, 16, 24] {
            let packed = AlignedBytes.linear(inner, width)
            for place in damage..<(damage + 4) { packed.pointer.storeBytes(of: 0xA5, toByteOffset: place, as: UInt8.self) }
            let error = await failure(.linear(packed))
            #expect(error?.code == .engineFailure)
            #expect(
                error?.message.contains("bytes of input 'packed' are not packed weights") == true, "\(damage): \(String(describing: error))")
        }
        let whole = AlignedBytes.linear(inner, width)
        let half = AlignedBytes(count: whole.count / 2)
        half.pointer.copyMemory(from: whole.pointer, byteCount: half.count)
        #expect(await failure(.linear(half))?.message.contains("are not packed weights") == true)
        let error = await failure(.linear(.table(inner, width)))
        #expect(error?.message.contains("are not packed weights") == true)
    }

    /// A node of every kind, and standard ones between them.
    private func mixed() -> GivenGraph {
        let attention = OperatorNode.selfAttention(
            .linear(3 * width, width), .linear(width, width), qkvBias: numbers(3 * width, seed: 1), outBias: numbers(width, seed: 2))
        return GivenGraph(
            description: GraphDescription(
                inputs: [
                    ValueDescription("x", .float32, [.symbolic("rows"), .fixed(width)]),
                    ValueDescription("starts", .int32, [.symbolic("ends")]),
                ],
                outputs: [ValueDescription("y", .float32, [.symbolic("sequences"), .fixed(width)])],
                constants: attention.constants + [constant("two", [2])],
                nodes: [
                    Node("Mul", inputs: ["x", "two"], outputs: ["doubled"]),
                    Node(
                        "SelfAttention", domain: "apus", inputs: ["doubled"] + attention.operands.dropFirst(), outputs: ["states"],
                        attributes: attention.attributes),
                    Node("Relu", inputs: ["states"], outputs: ["positive"]),
                    Node("Pool", domain: "apus", inputs: ["positive", "starts"], outputs: ["y"], attributes: ["mode": .string("mean")]),
                ]))
    }

    @Test func ownAndStandardNodesWorkTogetherOnTheCPU() async throws {
        let model = try await mixed().load()
        #expect(model.assignment == NodeAssignment([
            .init(provider: "CPUExecutionProvider", nodes: 4, operators: ["Mul", "Pool", "Relu", "SelfAttention"])
        ]))
        let y = try model.run(["x": OperatorNode.x(), "starts": OperatorNode.integers(starts)], output: 0, memory: .kept)
        var node = OperatorNode.selfAttention(
            .linear(3 * width, width), .linear(width, width), qkvBias: numbers(3 * width, seed: 1), outBias: numbers(width, seed: 2))
        node.inputs["x"] = HostTensor([tokens, width], .float32(x.map { $0 * 2 }))
        var pooling = OperatorNode.pool("mean")
        pooling.inputs["x"] = HostTensor([tokens, width], .float32(try #require(try await node.run().float32).map { max($0, 0) }))
        #expect(try await pooling.run() == y)
    }

    @Test func severalLanesOnOneSessionGetWhatOneGets() async throws {
        let executor = try mixed().executor(lanes: 2)
        let model = try await executor.load(GivenGraph.request)
        let batches = (1...6).map { length -> [String: HostTensor] in
            ["x": OperatorNode.x(rows: length * 9), "starts": OperatorNode.integers([0, Int32(length), Int32(length * 9)])]
        }
        let alone = try batches.map { try model.run($0, output: 0, memory: .kept) }
        let differing = Tally()
        await withTaskGroup(of: Void.self) { group in
            for round in 0..<120 {
                group.addTask {
                    await withCheckedContinuation { continuation in
                        executor.submit {
                            let place = round % batches.count
                            let y = try? model.run(batches[place], output: 0, memory: .kept)
                            if y != alone[place] { differing.add() }
                            continuation.resume()
                        }
                    }
                }
            }
        }
        #expect(differing.count == 0)
    }

    @Test func profilesTellOfOwnOperators() async throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("apus-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: folder) }
        let executor = try mixed().executor()
        let model = try await executor.load(GivenGraph.request)
        try await executor.profile(steps: 1, into: folder.path)
        _ = try model.run(["x": OperatorNode.x(), "starts": OperatorNode.integers(starts)], output: 0, memory: .released)
        // Files are written in turn with whatever is prepared.
        try await executor.prepare { () throws(ApusError) in }
        let profiles = folder.appendingPathComponent("logs/gpu_profiles")
        let name = try #require(try FileManager.default.contentsOfDirectory(atPath: profiles.path).first { $0.hasSuffix(".json") })
        let data = try Data(contentsOf: profiles.appendingPathComponent(name))
        let events = try #require(try JSONSerialization.jsonObject(with: data) as? [[String: Any]])
        let operators = Set(events.compactMap { ($0["args"] as? [String: Any])?["op_name"] as? String })
        #expect(operators.isSuperset(of: ["Mul", "SelfAttention", "Relu", "Pool"]))
    }

    /// Resident memory of this process that belongs to no file; nil where the system does not tell it so.
    private func ownMemory() -> Int? {
        guard let text = try? String(contentsOfFile: "/proc/self/status", encoding: .utf8) else { return nil }
        return text.split(separator: "\n").first { $0.hasPrefix("RssAnon:") }
            .flatMap { Int($0.filter(\.isNumber)) }.map { $0 * 1024 }
    }

    @Test func aLargeBlobIsReadWhereItLies() async throws {
        let packed = AlignedBytes.linear(8192, 2048)
        var node = OperatorNode.linear(packed, activation: "none")
        node.inputs["x"] = OperatorNode.x(rows: 1, columns: 2048)
        #expect(packed.count >= 64 << 20)
        guard let before = ownMemory() else { return }
        let executor = try node.graph.executor()
        let model = try await executor.load(GivenGraph.request)
        _ = try model.run(node.inputs, output: 0, memory: .kept)
        #expect(try #require(ownMemory()) - before < packed.count / 4)
        #expect(try await executor.memory().reservedBytes < packed.count / 4)
    }

    @Test func loadingAgainAndAgainLeavesNothingBehind() async throws {
        let packed = AlignedBytes.linear(1024, 1024)
        var node = OperatorNode.linear(packed, activation: "none")
        node.inputs["x"] = OperatorNode.x(rows: 2, columns: 1024)
        for _ in 0..<10 { _ = try await node.run() }
        guard let before = ownMemory() else { return }
        for _ in 0..<200 {
            _ = try await node.run()
        }
        #expect(try #require(ownMemory()) - before < 4 << 20)
    }
}

extension Optional<[Float]> {
    fileprivate func withPointer<Result>(_ body: (UnsafePointer<Float>?) -> Result) -> Result {
        switch self {
        case .some(let values): values.withUnsafeBufferPointer { body($0.baseAddress) }
        case .none: body(nil)
        }
    }
}
