/// Setbacks that ended a worker of one device, within the window that counts restarts, and who they are put down to.
struct DeathLedger: Sendable {
    enum Blame: Sendable, Equatable {
        /// A batch ran and nobody said yet whose fault it was.
        case undecided
        case device
        case input
    }

    /// What a death added to the counters of its device, to be taken back when an input turns out to be to blame.
    struct Charge: Sendable, Equatable {
        var setbacks = 0
        var failures = 0
        var probes = 0
    }

    private struct Death: Sendable {
        var time: Int
        var blame: Blame
        var charge: Charge?
    }

    private let window: Int
    private let mostExcused: Int
    /// Oldest first.
    private var deaths: [Death] = []
    /// Deaths that inputs were blamed for since the device last finished a batch.
    private var excusedInRow = 0

    init(window: Int, mostExcused: Int) {
        self.window = window
        self.mostExcused = mostExcused
    }

    /// How many the device itself is to blame for.
    var counted: Int { deaths.count { $0.blame == .device } }

    /// When the oldest undecided death happened.
    var oldestUndecided: Int? { deaths.first { $0.blame == .undecided }?.time }

    mutating func add(_ blame: Blame, _ charge: Charge? = nil, now: Int) {
        deaths.append(Death(time: now, blame: blame, charge: charge))
    }

    mutating func forget(before now: Int) {
        deaths.removeAll { $0.time.addingSaturated(window) <= now }
    }

    /// A batch was computed: the device works on some inputs at least.
    mutating func ranWell() { excusedInRow = 0 }

    /// The counters start anew; what happened still counts as restarts.
    mutating func dropCharges() {
        for index in deaths.indices { deaths[index].charge = nil }
    }

    /// Puts the oldest undecided death down to the device.
    mutating func convictOldest(_ charge: Charge) {
        guard let index = deaths.firstIndex(where: { $0.blame == .undecided }) else { return }
        deaths[index].blame = .device
        deaths[index].charge = charge
    }

    /// An input is to blame for the latest death that no input is blamed for yet. Returns what is to be taken back; nil when nothing is:
    /// there is no such death, or so many were excused in a row that inputs cannot be the reason.
    mutating func excuseLatest() -> Charge? {
        guard excusedInRow < mostExcused, let index = deaths.lastIndex(where: { $0.blame != .input }) else { return nil }
        excusedInRow += 1
        deaths[index].blame = .input
        defer { deaths[index].charge = nil }
        return deaths[index].charge ?? Charge()
    }
}
