extension BatchPlanner {
    /// The first replay that an idle lane may take, if there is one, and else a device that is to run dry for one that wants it to itself. Its
    /// old device is good enough for a replay when there is no other.
    mutating func nextReplay(now: Int) -> (Action?, reserved: Int?) {
        guard !replays.isEmpty else { return (nil, nil) }
        let devices = Set(lanes.values.map(\.device))
        var reserved: Int?
        for (index, replay) in replays.enumerated() {
            let hasChoice = devices.contains { $0 != replay.avoidedDevice }
            var places = devices.filter { (!hasChoice || $0 != replay.avoidedDevice) && $0 != reserved }
            if replay.company == .none {
                // One at a time: the device with the least to wait for.
                guard reserved == nil, let device = places.min(by: { (busyLanes($0), $0) < (busyLanes($1), $1) }) else { continue }
                guard busyLanes(device) == 0 else {
                    reserved = device
                    continue
                }
                places = [device]
            }
            guard let lane = idleLane(where: { places.contains($0.device) }) else { continue }
            return (start(index, on: lane, now: now), nil)
        }
        return (nil, reserved)
    }

    /// Launches a replay, or as much of it as a batch on `lane` may hold: it may have come from a device that holds more.
    private mutating func start(_ index: Int, on lane: Int, now: Int) -> Action? {
        guard let state = lanes[lane] else { return nil }
        var batch = GrowingBatch(limits(state))
        let items = replays[index].items
        for item in items {
            guard batch.fits(item.tokens) else { break }
            batch.add(item)
        }
        if replays[index].company == .none { secluded[state.device] = lane }
        if batch.ids.count == items.count {
            replays.remove(at: index)
        } else {
            replays[index].items.removeFirst(batch.ids.count)
        }
        occupy(lane, batch, [], now: now)
        return .launch(lane: lane, ids: batch.ids)
    }
}
