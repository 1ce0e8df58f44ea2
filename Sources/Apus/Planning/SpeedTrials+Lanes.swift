import ApusCheckpoint
import ApusDevices
package import ApusErrors
import ApusExecution
package import ApusFleet
import ApusTensor

/// How a CPU device shares its cores out: a lane for each, or fewer lanes and threads that help them.
extension SpeedTrials {
    /// One way, and how fast a model runs in it.
    package struct Arrangement: Sendable {
        package var member: FleetPlan.Member
        package var textsPerSecond: Double

        package init(member: FleetPlan.Member, textsPerSecond: Double) {
            self.member = member
            self.textsPerSecond = textsPerSecond
        }
    }

    /// Another way has to be this much faster than a lane for each core: measurements differ by less from one to the next.
    package static let leastGain = 1.05
    private static let turns = 3

    /// The ways of a CPU device of two cores or more, a lane for each first; none for other devices.
    package static func ways(of member: FleetPlan.Member) -> [FleetPlan.Member] {
        let cores = member.settings.lanes + member.settings.helpers
        guard member.settings.device.kind == .cpu, cores >= 2 else { return [] }
        var lanes = [cores, cores / 2]
        if cores > 3 { lanes.append(1) }
        return lanes.map { lanes in
            var way = member
            way.settings.lanes = lanes
            way.settings.helpers = cores - lanes
            return way
        }
    }

    /// The way that was measured to be best for the model in `directory`; `member` as it is where not all were measured. Reads nothing of
    /// the model but the sizes of its files, which with its name, its widths and what is asked of its precision decide what is best.
    package func best(
        of member: FleetPlan.Member, model directory: String, _ request: PrecisionRequest = PrecisionRequest()
    ) -> FleetPlan.Member {
        let ways = Self.ways(of: member)
        let measured = ways.compactMap { way in
            arrangements.score(key(way, Self.identity(directory, request))).map { Arrangement(member: way, textsPerSecond: $0) }
        }
        guard measured.count == ways.count else { return member }
        return Self.best(of: measured)?.member ?? member
    }

    /// The first, which is a lane for each core, unless another is clearly faster.
    package static func best(of measured: [Arrangement]) -> Arrangement? {
        guard let usual = measured.first, let fastest = measured.max(by: { $0.textsPerSecond < $1.textsPerSecond }) else { return nil }
        return fastest.textsPerSecond >= usual.textsPerSecond * leastGain ? fastest : usual
    }

    /// Measures every way of `member` with the model in `directory`, in turns of a third of a second, and remembers the best turn of each:
    /// whatever else the machine does makes turns slower, never faster. Throws what reading and loading the model throws.
    package func measureWays(
        of member: FleetPlan.Member, model directory: String, _ request: PrecisionRequest = PrecisionRequest()
    ) async throws(ApusError) -> [Arrangement] {
        let ways = Self.ways(of: member)
        guard !ways.isEmpty else { return [] }
        let subject = try await BlockingWork.run { () throws(ApusError) in try PrecisionSubject(directory: directory) }
        let batch = try await Self.batch(subject)
        // Which form is best depends on the way: what computes on the calling thread alone gains nothing from threads beside it.
        var forms: [NetworkForm] = []
        for way in ways { forms.append(try await form(of: subject, on: way, request)) }
        var measured = ways.map { Arrangement(member: $0, textsPerSecond: 0) }
        for _ in 0..<Self.turns {
            for place in measured.indices {
                let score = try await measure(measured[place].member, subject, forms[place], batch)
                measured[place].textsPerSecond = max(measured[place].textsPerSecond, score)
            }
        }
        for way in measured { arrangements.record(way.textsPerSecond, for: key(way.member, Self.identity(directory, request))) }
        subject.checkpoint.releaseMappedPages()
        return measured
    }

    /// What is asked for stands for the form that it leads to, which cannot be told without reading the weights.
    private static func identity(_ directory: String, _ request: PrecisionRequest) -> String {
        let floor = request.floor.map { " from \($0)" } ?? ""
        return "\(Installation.name(ofDirectory: directory)) of \(Installation.weightBytes(directory)) bytes in \(request.precision.rawValue)\(floor)"
    }
}
