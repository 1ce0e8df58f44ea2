import ApusErrors
import ApusExecution
import Dispatch
import NIOConcurrencyHelpers

/// One step on its way through the stages of a group. Each stage's last rank hands it on to the next stage; the thread that wanted it waits.
final class GroupFlight: Sendable {
    private let parts: [GroupModel.Part]
    private let outputs: [Int]
    private let memory: WorkingMemory
    private let isBeside: Bool
    private let life: GroupLife
    private let state: NIOLockedValueBox<State>
    private let over = DispatchSemaphore(value: 0)

    private struct State {
        /// By the names of the inputs that they are to later stages.
        var tensors: [String: HostTensor]
        var result: Result<[HostTensor], ApusError>?
    }

    /// - Parameters:
    ///   - outputs: places in the last part's outputs.
    ///   - isBeside: whether it is not to take the members' lanes.
    ///   - life: told of a failure before whoever waits is.
    init(
        _ parts: [GroupModel.Part], _ inputs: [String: HostTensor], outputs: [Int], memory: WorkingMemory, isBeside: Bool, _ life: GroupLife
    ) {
        self.parts = parts
        self.outputs = outputs
        self.memory = memory
        self.isBeside = isBeside
        self.life = life
        state = NIOLockedValueBox(State(tensors: inputs))
    }

    /// Runs it to its end on the members' threads. Blocks.
    func run() throws(ApusError) -> [HostTensor] {
        start(0)
        over.wait()
        let result = state.withLockedValue { $0.result }
        guard let result else { throw ApusError(.engineFailure, "the group gave no answer") }
        return try result.get()
    }

    /// Ends it now, unless it has ended.
    func end(_ result: Result<[HostTensor], ApusError>) {
        let isNews = state.withLockedValue { state in
            guard state.result == nil else { return false }
            state.result = result
            state.tensors = [:]
            return true
        }
        if isNews { over.signal() }
    }

    private var isOver: Bool { state.withLockedValue { $0.result != nil } }

    private func start(_ place: Int) {
        let part = parts[place]
        let inputs = state.withLockedValue { $0.tensors }
        let isLast = place == parts.count - 1
        let step = StageStep(
            part.ranks, inputs, outputs: isLast ? outputs : part.handedOn.map(\.place), memory: memory,
            isCalledOff: { self.isOver },
            answer: { result in
                switch result {
                case .failure(let failure):
                    self.life.failed(failure, self)
                    self.end(.failure(failure.error))
                case .success(let tensors):
                    if isLast { self.end(.success(tensors)) } else { self.handOn(tensors, from: place) }
                }
            })
        do throws(ApusError) {
            try part.stage.start(step, isBeside: isBeside)
        } catch {
            end(.failure(error))
        }
    }

    private func handOn(_ tensors: [HostTensor], from place: Int) {
        guard tensors.count == parts[place].handedOn.count else {
            return end(.failure(ApusError(.engineFailure, "stage \(parts[place].stage.index) gave \(tensors.count) outputs")))
        }
        state.withLockedValue { state in
            guard state.result == nil else { return }
            for (output, tensor) in zip(parts[place].handedOn, tensors) { state.tensors[output.name] = tensor }
        }
        start(place + 1)
    }
}
