import Apus
import ApusEmbeddings
import ApusExecution
import ApusFleet
import ApusTensor

/// Whether two lanes of a device do more than one: on CUDA each has a session and a stream of its own, so that what one copies to and from
/// the device runs beside what the other computes.
extension GPUCheck {
    /// Callers that keep both lanes in work.
    private static let callers = 4

    func overlap(
        _ member: FleetPlan.Member, _ texts: [String], _ reference: [[Float]], _ report: inout GPUCheckReport
    ) async throws {
        let device = member.settings.device.description
        progress("\(device): one lane against two")
        var paces: [Double] = []
        var lowest = 1.0
        for lanes in [1, 2] {
            var member = member
            member.settings.lanes = lanes
            let (measured, cosine) = try await withRoom(try FleetPlan([member])) { _, ready in
                (try await pace(ready), Self.agreement(try await vectors(ready, texts), reference).cosine)
            }
            paces.append(measured)
            lowest = min(lowest, cosine)
        }
        let gain = paces[0] > 0 ? paces[1] / paces[0] : 0
        report.add(
            device, "two lanes", lowest >= Self.parityCosine ? .passed : .failed,
            "\(Int(paces[0])) texts/s on one lane, \(Int(paces[1])) on two, \(Int((gain * 100).rounded())) %; lowest cosine \(lowest)")
    }

    /// Texts a second with several callers, each with one request of the largest batch after the other.
    private func pace(_ ready: ReadyModel) async throws -> Double {
        let texts = CheckTexts.make(scope.batches.max() ?? 1).map { TextInput.text($0) }
        func round(_ requests: Int) async throws {
            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 0..<Self.callers {
                    group.addTask { for _ in 0..<requests { _ = try await ready.embedder.embed(texts) } }
                }
                try await group.waitForAll()
            }
        }
        // The first warms up.
        try await round(1)
        let requests = 4
        let started = ContinuousClock.now
        try await round(requests)
        return Double(Self.callers * requests * texts.count) / (started.duration(to: .now) / .seconds(1))
    }
}
