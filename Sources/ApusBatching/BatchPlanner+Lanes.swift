extension BatchPlanner {
    /// A new lane that is idle. `device` groups the lanes of one device, `tokenBudget` is what a batch may hold unless the policy says, `pads`
    /// whether it computes padding up to the longest sequence of a batch: where it does not, lengths may mix freely.
    package mutating func addLane(
        _ lane: Int, device: Int, tokenBudget: Int = BatchPolicy.defaultTokenBudget, share: Double = 1, pads: Bool = true, now: Int
    ) -> [Action] {
        removeLane(lane)
        let budget = min(max(policy.tokenBudget ?? tokenBudget, 1), BatchPolicy.largestTokenBudget)
        lanes[lane] = Lane(device: device, tokenBudget: budget, share: Self.clamped(share), pads: pads)
        let most = lanes.values.reduce(1) { $1.device == device ? max($0, $1.tokenBudget) : $0 }
        accounts[device, default: DeviceAccount(most: most, target: policy.targetLatency?.inSeconds)].setMost(most)
        idleLanes.insert(lane, at: 0)
        return launch(now: now)
    }

    /// The lane takes no more work; what it runs now is the caller's to finish or to ``putBack(_:now:)``.
    package mutating func removeLane(_ lane: Int) {
        if let device = lanes.removeValue(forKey: lane)?.device, secluded[device] == lane { secluded[device] = nil }
        idleLanes.removeAll { $0 == lane }
    }

    /// Changes how large the batches of a lane may become.
    package mutating func setShare(_ share: Double, ofLane lane: Int) {
        lanes[lane]?.share = Self.clamped(share)
    }

    /// The lane finished its batch. Give `outcome` when it was computed to its end: it teaches what batches cost.
    package mutating func laneFinished(_ lane: Int, _ outcome: Outcome? = nil, now: Int) -> [Action] {
        if let device = lanes[lane]?.device, lanes[lane]?.isBusy == true {
            release(lane, of: device)
            let inFlight = busyLanes(device)
            if let outcome { accounts[device]?.record(outcome, inFlight: inFlight) }
        }
        return launch(now: now)
    }

    /// The batch that was launched on `lane` has not started, because something else had the device: it is formed anew from all that waits by
    /// now, and may be launched on another lane. `items` are those of it that are still wanted, as they are now. A replay is launched as it was.
    package mutating func relaunch(_ lane: Int, items: [Item], now: Int) -> [Action] {
        guard let state = lanes[lane], state.isBusy else { return launch(now: now) }
        guard !state.taken.isEmpty else { return [.launch(lane: lane, ids: state.ids)] }
        waiting.giveBack(state.taken, as: items.map(Self.bounded), ageBound: ageBound)
        release(lane, of: state.device)
        return launch(now: now)
    }

    private mutating func release(_ lane: Int, of device: Int) {
        lanes[lane]?.isBusy = false
        lanes[lane]?.busyUntil = nil
        lanes[lane]?.running = 0
        lanes[lane]?.ids = []
        lanes[lane]?.taken = []
        if secluded[device] == lane { secluded[device] = nil }
        idleLanes.append(lane)
    }

    /// Memory ran out on `device` with a batch of more: none exceeds so many padded tokens from now on, except a single sequence.
    package mutating func setCeiling(_ paddedTokens: Int, device: Int) {
        let ceiling = max(1, paddedTokens)
        let most = policy.tokenBudget ?? BatchPolicy.defaultTokenBudget
        accounts[device, default: DeviceAccount(most: most, target: policy.targetLatency?.inSeconds)].ceiling = ceiling
    }

    package func ceiling(device: Int) -> Int? { accounts[device]?.ceiling }

    /// What batches cost on `device`; nil before the first.
    package func cost(device: Int) -> CostModel? {
        accounts[device].flatMap { $0.cost.observations > 0 ? $0.cost : nil }
    }

    /// Mean of `|predicted - measured| / measured` over the last batches of `device`; nil before the fifth.
    package func predictionError(device: Int) -> Double? { accounts[device]?.cost.predictionError }

    /// Tokens that a batch on `device` may hold now.
    package func budget(device: Int) -> Int {
        accounts[device]?.budget ?? policy.tokenBudget ?? BatchPolicy.defaultTokenBudget
    }

    func busyLanes(_ device: Int) -> Int {
        lanes.values.count { $0.device == device && $0.isBusy }
    }

    /// Of the idle lanes that fit, the one of the largest share; of equals the one that ran last, whose cache is warm.
    func idleLane(where fits: (Lane) -> Bool) -> Int? {
        var best: (lane: Int, share: Double)?
        for lane in idleLanes {
            guard let state = lanes[lane], secluded[state.device] == nil, fits(state), state.share >= best?.share ?? 0 else { continue }
            best = (lane, state.share)
        }
        return best?.lane
    }

    /// `lane` runs `batch` from now on.
    mutating func occupy(_ lane: Int, _ batch: GrowingBatch, _ taken: [WaitingItem], now: Int) {
        idleLanes.removeAll { $0 == lane }
        lanes[lane]?.isBusy = true
        lanes[lane]?.running = batch.shape.count
        lanes[lane]?.ids = batch.ids
        lanes[lane]?.taken = taken
        guard let device = lanes[lane]?.device, let cost = cost(device: device) else { return }
        let nanoseconds = Int(exactly: (min(cost.seconds(batch.shape), 1e6) * 1e9).rounded()) ?? 0
        lanes[lane]?.busyUntil = now.saturatingAdd(nanoseconds)
    }

    /// Tokens of a batch on `lane` now.
    func budget(_ lane: Lane) -> Int {
        max(1, Int((Double(min(lane.tokenBudget, budget(device: lane.device))) * lane.share).rounded()))
    }

    private static func clamped(_ share: Double) -> Double {
        share.isFinite ? min(1, max(0.01, share)) : 1
    }
}
