import ApusErrors
import ApusExecution
import ApusJSON
import ApusTensor
import ApusWorkers
import Testing

/// Settings, requests, models and errors as they cross.
@Suite struct MessageTests {
    private func crossed<Value>(
        _ write: (inout JSONWriter) -> Void, _ read: (JSONReader) throws(ApusError) -> Value
    ) throws -> Value {
        try Frame(.load, sequence: 1, json: write).document(read)
    }

    @Test func everySettingCrosses() throws {
        let plain = ExecutorSettings(device: DeviceID(.cpu, 0), lanes: 1, engineLibrary: "/lib/\"engine\"é.so")
        var full = ExecutorSettings(
            device: DeviceID(.cuda, 7), lanes: 5, cores: [0, 3, 9], engineLibrary: "e", providerLibrary: "p", memoryLimitBytes: 1 << 40,
            assignment: .strict, tensorRT: .init(cacheDirectory: "/c"), cudaGraphs: .on, tf32: .off)
        full.onlyVisibleUUID = "GPU-1"
        full.visibleIndex = 3
        full.helpers = 2
        full.group = try GroupShape([
            [.init(DeviceID(.cpu, 0), cores: [0, 1], memoryLimitBytes: 1 << 33), .init(DeviceID(.cpu, 1))], [.init(DeviceID(.cuda, 0), uuid: "GPU-2")],
        ])
        for settings in [plain, full] {
            let contract = WorkerContract(settings: settings, regionLimit: 123)
            #expect(try crossed(contract.write, WorkerContract.init(reading:)) == contract)
        }
        // A setting that is added must cross too: write it, read it, put it into `full`, and count it here.
        #expect(Mirror(reflecting: full).children.count == 14)
    }

    @Test func everyRequestCrosses() throws {
        let sources: [LoadRequest.Source] = [
            .file("/m/model.onnx"), .checkpoint(directory: "/m", .pooling(width: 384)), .file("/m/model.onnx", try FileSlice(nodes: 0..<2, nodeCount: 9)),
            .file(
                "/m/model.onnx",
                try FileSlice(
                    nodes: 3..<9, nodeCount: 9,
                    handedOn: [ValueDescription("a/b", .float32, [.symbolic("n"), .fixed(8)]), ValueDescription("m", .int64, [])])),
        ] + NetworkForm.allCases.map { .checkpoint(directory: "/m", .network($0)) }
        for source in sources {
            for optimization in LoadRequest.Optimization.allCases {
                let stages = optimization == .none ? [] : [0..<3, 3..<3, 5..<9]
                let order = LoadOrder(.max, LoadRequest(name: "n\u{0}\n", source: source, optimization: optimization, stages: stages))
                #expect(try Frame(.load, sequence: 0, payload: order.encoded()).document(LoadOrder.init(reading:)) == order)
                #expect(Mirror(reflecting: order.request).children.count == 4)
            }
        }
    }

    @Test(arguments: [
        #"{"stages":[1],"name":"n","file":"f","optimization":"all"}"#, #"{"stages":[3,1],"name":"n","file":"f","optimization":"all"}"#,
        #"{"stages":["1",2],"name":"n","file":"f","optimization":"all"}"#, #"{"stages":7,"name":"n","file":"f","optimization":"all"}"#,
    ])
    func stagesThatMakeNoSenseAreRefused(text: String) throws {
        #expect(throws: ApusError.self) {
            try Frame(.load, sequence: 0, payload: Array(text.utf8)).document(LoadRequest.init(reading:))
        }
    }

    @Test(arguments: ["[]", "[[]]", "[3]", #"[[{"device":"cpu:0","cores":[]},{"device":"cpu:0","cores":[]}]]"#, #"[[{"device":"c","cores":[]}]]"#])
    func groupsThatMakeNoSenseAreRefused(text: String) throws {
        #expect(throws: ApusError.self) {
            try Frame(.load, sequence: 0, payload: Array("{\"group\":\(text)}".utf8)).document { json throws(ApusError) in
                try GroupShape(reading: json, "group")
            }
        }
    }

    @Test func profileOrdersCross() throws {
        let order = ProfileOrder(steps: 25, directory: "/a \"folder\" é")
        #expect(try Frame(.profile, sequence: 0, payload: order.encoded()).document(ProfileOrder.init(reading:)) == order)
        for wrong in ["{}", #"{"steps":1}"#, #"{"steps":"1","directory":"d"}"#, #"{"steps":1.5,"directory":"d"}"#] {
            #expect(throws: ApusError.self) {
                try Frame(.profile, sequence: 0, payload: Array(wrong.utf8)).document(ProfileOrder.init(reading:))
            }
        }
    }

    @Test func modelsMemoryAndHellosCross() throws {
        let outline = ModelOutline(
            inputs: [ValueDescription("a", .int32, [.fixed(1), .symbolic("n")]), ValueDescription("b", .float16, [])],
            outputs: [ValueDescription("", .bool, [.fixed(0)])],
            assignment: NodeAssignment([.init(provider: "P", nodes: 1, operators: []), .init(provider: "Q", nodes: 0, operators: ["x"])]))
        #expect(try crossed(outline.write, ModelOutline.init(reading:)) == outline)
        let memory = DeviceMemory(
            allocatedBytes: 1, reservedBytes: 2, maxAllocatedBytes: 3, totalBytes: .max,
            buffers: BufferUse(hits: 4, misses: 5, heldBytes: 6, trimmedBytes: .max),
            weights: WeightBytes(layers: 7, embedding: 8, head: 9, mapped: 10))
        #expect(try crossed(memory.write, DeviceMemory.init(reading:)) == memory)
        let group = GroupState(
            stages: [
                [.init(DeviceID(.cpu, 0), memory: memory, busyNanoseconds: 9, waitedNanoseconds: 4, steps: 2), .init(DeviceID(.cpu, 1))],
                [.init(DeviceID(.cpu, 2))],
            ], activeNanoseconds: 77)
        #expect(try crossed(group.write, GroupState.init(reading:)) == group)
        let hello = WorkerHello(pid: 77, engineVersion: "1.31.1")
        #expect(try crossed(hello.write, WorkerHello.init(reading:)) == hello)
    }

    @Test func longErrorsAreCutToWhatAFrameHolds() throws {
        let text = String(repeating: "ä", count: 1 << 20)
        let error = ApusError(.engineFailure, text, place: text, advice: text, cause: ApusError(.engineFailure, text))
        let frame = Frame(.failure, sequence: 0) { error.write(to: &$0) }
        #expect(try frame.encoded().count <= FrameHeader.payloadLimit)
        let back = try frame.document(ApusError.init(reading:))
        #expect(back.code == .engineFailure)
        #expect(text.hasPrefix(back.message.dropLast()))
    }

    @Test func anotherVersionIsRefusedWithAdvice() throws {
        let contract = WorkerContract(
            settings: ExecutorSettings(device: DeviceID(.cpu, 0), lanes: 1, engineLibrary: ""), regionLimit: 1)
        let frame = Frame(.configure, sequence: 0, json: contract.write)
        let text = String(decoding: frame.payload, as: UTF8.self).replacing(
            "\"protocol\":\(WorkerContract.protocolVersion)", with: "\"protocol\":\(WorkerContract.protocolVersion + 1)")
        #expect { try Frame(.configure, sequence: 0, payload: Array(text.utf8)).document(WorkerContract.init(reading:)) } throws: { error in
            let error = error as? ApusError
            return error?.code == .engineIncompatible && error?.advice != nil
        }
    }

    @Test func documentsWithDamageAreRefused() throws {
        let settings = ExecutorSettings(device: DeviceID(.cpu, 0), lanes: 2, cores: [1], engineLibrary: "e")
        let good = Frame(.configure, sequence: 0, json: WorkerContract(settings: settings, regionLimit: 9).write).payload
        for count in good.indices {
            let frame = Frame(.configure, sequence: 0, payload: Array(good.prefix(count)))
            #expect(throws: ApusError.self) { try frame.document(WorkerContract.init(reading:)) }
        }
        for memory in [#"{"allocated":-1,"reserved":0,"max_allocated":0,"total":0}"#, "{}", "[]", "7"] {
            let frame = Frame(.memoryState, sequence: 0, payload: Array(memory.utf8))
            #expect(throws: ApusError.self) { try frame.document(DeviceMemory.init(reading:)) }
        }
    }
}
