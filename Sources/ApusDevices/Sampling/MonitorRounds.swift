import ApusTensor

/// What stays the same from one round of samples to the next.
struct MonitorRounds {
    private let devices: [(place: Int, info: GPUInfo)]
    private let silentPlaces: [Int]
    private let links: [DeviceLink]
    private let numbering: DeviceNumbering
    private let notes: [String]

    init(_ session: borrowing NVMLSession, numbering: DeviceNumbering) {
        var devices: [(place: Int, info: GPUInfo)] = []
        var silent: [Int] = []
        var notes = numbering.notes
        for place in 0..<session.count {
            guard let facts = session.facts(place) else {
                silent.append(place)
                notes.append("GPU \(place) of NVML's list does not say who it is")
                continue
            }
            guard let number = numbering.numbers[place] else {
                notes.append("\(facts.uuid) (\(facts.name)) is invisible to CUDA")
                continue
            }
            var info = GPUInfo(device: DeviceID(.cuda, number), name: facts.name, uuid: facts.uuid)
            info.nvmlIndex = place
            info.pciBusID = facts.bus?.description
            info.computeCapability = facts.computeCapability
            info.driverVersion = session.driverVersion
            info.cudaVersion = session.cudaVersion
            devices.append((place, info))
        }
        devices.sort { $0.info.device < $1.info.device }
        var links: [DeviceLink] = []
        for (count, one) in devices.enumerated() {
            for other in devices[(count + 1)...] {
                guard let connection = session.connection(one.place, other.place) else { continue }
                links.append(DeviceLink(one.info.device, other.info.device, connection))
            }
        }
        self.devices = devices
        self.links = links
        self.numbering = numbering
        self.notes = notes
        silentPlaces = silent
    }

    func sample(_ session: borrowing NVMLSession) -> DeviceSnapshot {
        var snapshot = DeviceSnapshot(
            links: links, driverVersion: session.driverVersion, cudaVersion: session.cudaVersion, numbering: numbering.source, notes: notes)
        // Before the rest: Xid 154 says that field 230 has changed, which is read after it.
        let xids = session.takeXids()
        for (place, info) in devices {
            var info = info
            var sample = session.sample(place, as: info.device)
            sample.xids = xids.filter { $0.place == place }.map(\.code)
            info.sample = sample
            snapshot.devices.append(info)
        }
        for place in silentPlaces {
            let sample = session.sample(place, as: DeviceID(.cuda, place))
            snapshot.silent.append(.init(nvmlIndex: place, answer: sample.answer))
        }
        return snapshot
    }
}
