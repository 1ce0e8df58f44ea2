import ApusErrors
import ApusExecution
import ApusORT
import ApusRuntime
import ApusTensor
import Testing

/// Which provider computes which nodes.
@Suite struct AssignmentTests {
    @Test(arguments: [DeviceID(.cpu, 0), DeviceID(.sim, 0)])
    func onTheCPUTheCPUProviderHasAllNodes(device: DeviceID) async throws {
        let executor = try SyntheticGraph.executor(device, assignment: .strict)
        let model = try await executor.load(SyntheticGraph.request())
        #expect(model.assignment == NodeAssignment([
            .init(provider: "CPUExecutionProvider", nodes: 2, operators: ["MatMul", "Relu"])
        ]))
    }

    private let mixed = NodeAssignment([
        "CPUExecutionProvider": ["Shape": 3, "GroupQueryAttention": 6], "CUDAExecutionProvider": ["Gemm": 36, "Gather": 4],
    ])

    @Test func sharesAreCountedAndTheLargestComesFirst() {
        #expect(mixed.shares == [
            .init(provider: "CUDAExecutionProvider", nodes: 40, operators: ["Gather", "Gemm"]),
            .init(provider: "CPUExecutionProvider", nodes: 9, operators: ["GroupQueryAttention", "Shape"]),
        ])
    }

    @Test func aStrictAssignmentRefusesNodesLeftToTheCPU() throws {
        #expect {
            try mixed.requireAll(on: DeviceID(.cuda, 1), model: "some-model")
        } throws: { error in
            guard let error = error as? ApusError else { return false }
            return error.code == .providerIncomplete && error.place == "some-model"
                && error.message
                    == "9 of 49 nodes of this model would run on the CPU instead of cuda:1: GroupQueryAttention, Shape"
        }
        try mixed.requireAll(on: DeviceID(.cpu, 0), model: "some-model")
        try NodeAssignment(["CUDAExecutionProvider": ["Gemm": 1]]).requireAll(on: DeviceID(.cuda, 1), model: "some-model")
        try NodeAssignment().requireAll(on: DeviceID(.cuda, 1), model: "some-model")
    }
}
