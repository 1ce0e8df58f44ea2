import ApusErrors
import ApusExecution
import NIOConcurrencyHelpers

/// What a group and its models know of each other: the steps under way, and how the group ended.
final class GroupLife: Sendable {
    private let stages: [GroupStage]
    private let options: GroupOptions
    private let state = NIOLockedValueBox(State())

    private struct State {
        /// Why nothing runs any more.
        var end: ApusError?
        var flights: [ObjectIdentifier: GroupFlight] = [:]
        /// When the first of the flights began.
        var activeSince = 0
        var activeNanoseconds = 0
    }

    init(_ stages: [GroupStage], _ options: GroupOptions) {
        self.stages = stages
        self.options = options
    }

    /// Whether steps of this thread are not to take the members' lanes.
    @TaskLocal static var isBeside = false

    /// Throws `device_unavailable` once the group has ended.
    func requireOpen() throws(ApusError) {
        if let end = state.withLockedValue({ $0.end }) { throw end }
    }

    /// Nanoseconds in which at least one step was under way.
    var activeNanoseconds: Int {
        let now = options.now()
        return state.withLockedValue { $0.activeNanoseconds + ($0.flights.isEmpty ? 0 : max(0, now - $0.activeSince)) }
    }

    func run(
        _ parts: [GroupModel.Part], _ inputs: [String: HostTensor], outputs: [Int], memory: WorkingMemory
    ) throws(ApusError) -> [HostTensor] {
        let flight = GroupFlight(parts, inputs, outputs: outputs, memory: memory, isBeside: Self.isBeside, self)
        let now = options.now()
        let end = state.withLockedValue { state -> ApusError? in
            guard state.end == nil else { return state.end }
            if state.flights.isEmpty { state.activeSince = now }
            state.flights[ObjectIdentifier(flight)] = flight
            return nil
        }
        if let end { throw end }
        defer { landed(flight) }
        return try flight.run()
    }

    private func landed(_ flight: GroupFlight) {
        let now = options.now()
        state.withLockedValue { state in
            state.flights[ObjectIdentifier(flight)] = nil
            if state.flights.isEmpty { state.activeNanoseconds += max(0, now - state.activeSince) }
        }
    }

    /// A device that has ended takes the group with it: the other devices have only parts of every model. `flight` ends by itself.
    func failed(_ failure: GroupFailure, _ flight: GroupFlight?) {
        guard let deviceEnd = failure.deviceEnd else { return }
        let place = "stage \(failure.stage), rank \(failure.rank)"
        let isNews = end(
            ApusError(
                .deviceUnavailable, "the group has ended with \(failure.device) (\(place)): \(deviceEnd.rawValue)", place: "\(failure.device)",
                cause: failure.cause),
            sparing: flight)
        if isNews { options.onFailure(failure) }
    }

    /// Nothing runs from now on. Steps under way end with `error`, all but `spared`. Whether the group had not ended before.
    @discardableResult
    func end(_ error: ApusError, sparing spared: GroupFlight? = nil) -> Bool {
        let flights: [GroupFlight]? = state.withLockedValue { state in
            guard state.end == nil else { return nil }
            state.end = error
            return Array(state.flights.values)
        }
        guard let flights else { return false }
        for flight in flights where flight !== spared { flight.end(.failure(error)) }
        for stage in stages { stage.abort(error.message) }
        return true
    }
}
