package import ApusErrors

extension BatchPlanner {
    /// A queue never closes further than this part of it, so that a short absence of all devices refuses nobody.
    private static let leastCapacity = 0.1
    /// An item is refused when the wait is more than this part of what it has left: it has to run after its wait, and work that is late on
    /// arrival keeps the lanes from work that is not. The rest is for devices that slow down while it waits: a queue this long keeps the lanes in
    /// work as well as a longer one.
    private static let deadlinePart = 0.65
    /// What one client may hold of a class while another waits in it.
    private static let clientPart = 0.5

    /// Work that would wait, as tokens: of the items' class, and of what goes before it.
    private struct Load {
        var own: Int
        var ahead: Int
        var share: Double

        /// Seconds until a fleet of `pace` tokens per second has done it. Two bounds hold: the class waits at most for all that is more
        /// urgent, and at most for its own work at its share.
        func seconds(_ pace: Double) -> Double {
            min((Double(own) + Double(ahead)) / pace, Double(own) / (pace * share))
        }
    }

    /// Sets how much of its own work a client may have waiting, in estimated seconds; nil lifts the limit.
    package mutating func limit(client: Int, seconds: Double?) {
        clientLimits[client] = seconds.flatMap { $0.isFinite ? max(0, $0) : nil }
    }

    /// Seconds until something enqueued now in this class would start; nil while nothing is known about the cost of work or no lane is open.
    package func estimatedWait(priority: Priority, now: Int) -> Double? {
        guard let pace = tokensPerSecond else { return nil }
        let load = load(priority, adding: 0)
        if load.own == 0, load.ahead == 0, !idleLanes.isEmpty { return 0 }
        return (load.seconds(pace) + secondsUntilIdle(now: now)) * waitFactor.value
    }

    /// Nanoseconds that an item enqueued now would wait if everything went as the costs say; 0 while nothing is known.
    func predictedWait(_ priority: Priority, now: Int) -> Int {
        guard let seconds = estimatedWait(priority: priority, now: now) else { return 0 }
        return Int(exactly: (min(seconds / waitFactor.value, 1e6) * 1e9).rounded()) ?? 0
    }

    /// Throws unless an item that came now might wait: a look before anything is made of a request.
    package func admitAny(_ priority: Priority, client: Int, deadline: Int?, now: Int) throws(ApusError) {
        try admit([Item(id: 0, tokens: 1, deadline: deadline, priority: priority, client: client)], now: now)
    }

    /// Throws unless `items` may wait, and with them the requests that they are this `part` of.
    func admit(_ items: [Item], part: Double = 1, now: Int) throws(ApusError) {
        // Other models on the device and other programs on the machine are not in the costs; they are in the waits.
        let pace = tokensPerSecond.map { $0 / max(1, waitFactor.value) }
        for priority in Priority.allCases {
            let wanted = items.filter { $0.priority == priority }
            guard let client = wanted.first?.client else { continue }
            try admit(Self.tokens(of: wanted, part), priority, client, pace)
            try admitDeadlines(wanted, priority, now: now)
        }
        for client in Set(items.map(\.client)) {
            try admit(Self.tokens(of: items.filter { $0.client == client }, part), ofClient: client, pace)
        }
    }

    /// Tokens of the whole that `items` are this part of.
    private static func tokens(of items: [Item], _ part: Double) -> Int {
        let tokens = items.reduce(0) { $0.saturatingAdd($1.tokens) }
        guard part > 0, part < 1 else { return tokens }
        return Int(exactly: (Double(tokens) / part).rounded()) ?? .max
    }

    private func admit(_ tokens: Int, _ priority: Priority, _ client: Int, _ pace: Double?) throws(ApusError) {
        let now = load(priority, adding: 0)
        guard now.own > 0 || now.ahead > 0 else { return }
        let next = load(priority, adding: tokens)
        let open = capacity.isFinite ? min(1, max(Self.leastCapacity, capacity)) : 1
        // Seconds, or tokens as long as nothing is known about their cost.
        let limit = (pace == nil ? Double(policy.maxQueuedTokens) : policy.maxQueue.inSeconds) * open
        let work = pace.map(next.seconds) ?? Double(next.own.saturatingAdd(next.ahead))
        let others = waiting.others(than: client, priority)
        let held = Double(waiting.tokens(ofClient: client, priority)) + Double(tokens)
        // What fills the class up when `ahead` stays as it is.
        let room = pace.map { max(limit * $0 - Double(next.ahead), limit * $0 * next.share) } ?? max(limit - Double(next.ahead), 0)
        if others > 0, held > Self.clientPart * room, held > Double(tokens) {
            throw refusal(
                "the client has \(Int(held) - tokens) tokens waiting, more than half of what the queue of \(priority) work holds",
                seconds: pace.map { (held - Self.clientPart * room) / $0 })
        }
        // A flood does not shut out who has little in the queue: for them there is half as much again.
        let isModest = held <= Self.clientPart * room / Double(max(others, 1))
        let allowed = (others > 0 && isModest ? 1 + Self.clientPart : 1) * limit
        guard work > allowed else { return }
        throw refusal(
            pace == nil
                ? "\(now.own.saturatingAdd(now.ahead)) tokens are waiting, the limit is \(Int(limit.rounded(.up)))"
                : "\(Self.milliseconds(work)) ms of \(priority) work would be waiting, the limit is \(Self.milliseconds(limit)) ms",
            seconds: pace.map { _ in work - allowed })
    }

    /// Refuses at once what would only expire later, when the estimate can be trusted.
    private func admitDeadlines(_ items: [Item], _ priority: Priority, now: Int) throws(ApusError) {
        guard accounts.values.contains(where: { $0.cost.isTrusted }), let wait = estimatedWait(priority: priority, now: now) else { return }
        for item in items {
            guard let deadline = item.deadline, deadline > now else { continue }
            let left = (Double(deadline) - Double(now)) * 1e-9
            guard wait > Self.deadlinePart * left else { continue }
            throw refusal(
                "the wait is about \(Self.milliseconds(wait)) ms and the deadline is in \(Self.milliseconds(left)) ms", seconds: wait - left)
        }
    }

    /// A client's own limit.
    private func admit(_ tokens: Int, ofClient client: Int, _ pace: Double?) throws(ApusError) {
        guard let limit = clientLimits[client] else { return }
        let held = waiting.tokens(ofClient: client)
        // Until a pace is known it is that at which the whole queue would last as long as the policy says.
        let pace = pace ?? Double(policy.maxQueuedTokens) / policy.maxQueue.inSeconds
        let seconds = (Double(held) + Double(tokens)) / pace
        guard held > 0, seconds > limit else { return }
        throw ApusError(
            .rateLimitExceeded, "\(Self.milliseconds(seconds)) ms of work of this key would be waiting, its limit is \(Self.milliseconds(limit)) ms",
            advice: "Send again later, or less at a time", cause: QueueWait(seconds: Self.wait(seconds - limit)))
    }

    private func refusal(_ message: String, seconds: Double?) -> ApusError {
        ApusError(
            .overloaded, message, advice: "Send again later, or raise the limit of queued work",
            cause: QueueWait(seconds: Self.wait(seconds ?? 1)))
    }

    /// Nobody is told to come back at once, nor after the longest time that a queue may hold.
    private static func wait(_ seconds: Double) -> Double {
        seconds.isFinite ? min(max(seconds, 1e-3), 86_400) : 1
    }

    private static func milliseconds(_ seconds: Double) -> Int {
        Int(exactly: (min(max(seconds, 0), 1e9) * 1000).rounded()) ?? 0
    }

    private func load(_ priority: Priority, adding tokens: Int) -> Load {
        let ahead = Priority.allCases.filter { $0 < priority }.reduce(replayTokens) { $0.saturatingAdd(waiting.tokens($1)) }
        return Load(own: waiting.tokens(priority).saturatingAdd(tokens), ahead: ahead, share: waiting.share(priority))
    }

    /// What all lanes together do; devices that ran nothing yet count as the others. nil while nothing is known.
    var tokensPerSecond: Double? {
        var known = 0.0
        var count = 0
        for lane in lanes.values {
            guard let pace = accounts[lane.device]?.secondsPerToken(maxCount: policy.maxBatchSize) else { continue }
            known += 1 / pace
            count += 1
        }
        guard count > 0, known > 0, known.isFinite else { return nil }
        return known / Double(count) * Double(lanes.count)
    }

    /// Nanoseconds that whatever starts now will take at least, as far as that can be trusted: with more waiting than a batch holds, those of a full
    /// batch, else those of one with next to nothing in it.
    var leastRun: Int {
        var least: Double?
        for device in Set(lanes.values.map(\.device)) {
            guard let account = accounts[device], account.cost.isTrusted else { return 0 }
            var seconds = account.cost.fixed
            if waiting.tokens > account.budget, let pace = account.secondsPerToken(maxCount: policy.maxBatchSize) {
                seconds = max(seconds, pace * Double(account.budget))
            }
            least = min(least ?? seconds, seconds)
        }
        return Int(exactly: (min(max(0, least ?? 0), 1e6) * 1e9).rounded()) ?? 0
    }

    /// Predicted seconds until the first lane is idle.
    private func secondsUntilIdle(now: Int) -> Double {
        guard idleLanes.isEmpty else { return 0 }
        let next = lanes.values.compactMap(\.busyUntil).min() ?? now
        return max(0, Double(next) - Double(now)) * 1e-9
    }
}
