import ApusErrors
import ApusExecution
import NIOConcurrencyHelpers

/// One step in one stage, on all of its ranks. Answers once: with rank 0's outputs when all ranks have ended, or with the first failure, at
/// once, whoever is still at it.
final class StageStep: Sendable {
    /// One for each rank.
    let models: [any LoadedModel]
    private let inputs: [String: HostTensor]
    private let outputs: [Int]
    private let memory: WorkingMemory
    private let isCalledOff: @Sendable () -> Bool
    private let answer: @Sendable (Result<[HostTensor], GroupFailure>) -> Void
    private let state: NIOLockedValueBox<State>

    private struct State {
        var running: Int
        var first: [HostTensor] = []
        var hasFailed = false
    }

    /// - Parameters:
    ///   - outputs: places in the models' outputs.
    ///   - isCalledOff: whether nobody waits for the step any more.
    init(
        _ models: [any LoadedModel], _ inputs: [String: HostTensor], outputs: [Int], memory: WorkingMemory,
        isCalledOff: @escaping @Sendable () -> Bool, answer: @escaping @Sendable (Result<[HostTensor], GroupFailure>) -> Void
    ) {
        self.models = models
        self.inputs = inputs
        self.outputs = outputs
        self.memory = memory
        self.isCalledOff = isCalledOff
        self.answer = answer
        state = NIOLockedValueBox(State(running: models.count))
    }

    /// Whether it is of no use to run on another rank.
    var isOver: Bool { state.withLockedValue { $0.hasFailed } || isCalledOff() }

    func run(_ rank: Int) throws(ApusError) -> [HostTensor] {
        try models[rank].run(inputs, outputs: outputs, memory: memory)
    }

    /// Only the first failure counts: the others follow from it.
    func fail(_ failure: GroupFailure) {
        let isNews = state.withLockedValue { state in
            defer { state.hasFailed = true }
            return !state.hasFailed
        }
        if isNews { answer(.failure(failure)) }
    }

    enum End {
        case well
        case badly
    }

    /// A rank has ended. How the step has, once all ranks have.
    func ended(_ rank: Int, _ result: Result<[HostTensor], ApusError>) -> End? {
        let (isLast, outputs): (Bool, [HostTensor]?) = state.withLockedValue { state in
            state.running -= 1
            if rank == 0, case .success(let tensors) = result { state.first = tensors }
            return (state.running == 0, state.hasFailed ? nil : state.first)
        }
        guard isLast else { return nil }
        guard let outputs else { return .badly }
        answer(.success(outputs))
        return .well
    }
}
