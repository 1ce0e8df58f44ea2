package import ApusErrors
package import ApusTensor

/// A device that models can run on, and how it is reached.
package struct ResolvedDevice: Sendable, Equatable {
    package var info: GPUInfo
    /// The cores of a CPU device, and of a simulated one, which computes on them; nil for accelerators.
    package var cores: CoreSet?
    /// The library of its plugin provider; nil for providers that come with the engine.
    package var providerLibrary: String?

    package var id: DeviceID { info.device }

    package init(info: GPUInfo, cores: CoreSet? = nil, providerLibrary: String? = nil) {
        self.info = info
        self.cores = cores
        self.providerLibrary = providerLibrary
    }
}

extension DeviceList {
    /// Who asked, which decides what becomes of a device that is not there.
    package enum Origin: Sendable, Equatable {
        case commandLine
        /// A configuration file or an environment variable, with the key.
        case file(key: String, Missing)

        package enum Missing: Sendable, Equatable {
            /// Left out with a warning: fallback is enabled.
            case isLeftOut
            case isRefused
        }

        var place: String {
            switch self {
            case .commandLine: "--devices"
            case .file(let key, _): key
            }
        }
    }

    package struct Resolution: Sendable, Equatable {
        /// In the order asked for, each once; never empty. For ``DeviceList/automatic``: every accelerator, then the CPU.
        package var devices: [ResolvedDevice]
        /// For the log at start: devices left out, cores that are shared.
        package var warnings: [String]
    }

    /// Finds the devices in an inventory. Throws `invalid_value`, naming what is missing and what there is.
    package func resolve(in inventory: Inventory, origin: Origin = .commandLine) throws(ApusError) -> Resolution {
        guard case .named(let selectors) = self else {
            let accelerators = inventory.accelerators.map { inventory.resolved($0) }
            return Resolution(devices: accelerators + inventory.cpuDevices(1), warnings: [])
        }
        var result = Resolution(devices: [], warnings: [])
        for selector in selectors {
            let (found, missing) = inventory.find(selector)
            result.devices += found
            guard !missing.isEmpty else { continue }
            let kind = selector.kind
            let noSuch = "there is no \(kind.rawValue) device with \(missing.count == 1 ? "this number" : "these numbers")"
            let why = kind == .sim ? "simulated devices are for tests" : inventory.absence(of: kind) ?? noSuch
            let what = "\(missing.joined(separator: ", ")) cannot be used: \(why)"
            guard case .file(let key, .isLeftOut) = origin else {
                throw ApusError(.invalidValue, what, place: origin.place, advice: "Available: \(inventory.summary)")
            }
            result.warnings.append("\(key): \(what); available: \(inventory.summary)")
        }
        if result.devices.isEmpty {
            result.devices = inventory.cpuDevices(1)
            result.warnings.append("\(origin.place): none of these devices can be used; cpu:0 is used instead")
        }
        let shared = result.devices.filter { $0.cores?.isShared == true }
        if let first = shared.first {
            result.warnings.append(
                "\(shared.count) \(first.id.kind.rawValue) devices share \(inventory.cpu.available) cores, so they take turns")
        }
        return result
    }
}

extension Inventory {
    func resolved(_ info: GPUInfo) -> ResolvedDevice {
        ResolvedDevice(info: info, providerLibrary: providerLibrary(info.device.kind))
    }

    func cpuDevices(_ count: Int) -> [ResolvedDevice] {
        cpu.partition(into: count).enumerated().map { number, cores in
            ResolvedDevice(info: GPUInfo(device: DeviceID(.cpu, number), name: cpu.modelName ?? "CPU"), cores: cores)
        }
    }

    /// The devices that a selector names, and the spelling of those that are not there.
    fileprivate func find(_ selector: DeviceList.Selector) -> (found: [ResolvedDevice], missing: [String]) {
        let kind = selector.kind
        switch selector.which {
        case .count(let count) where kind == .cpu: return (cpuDevices(count), [])
        case .count(let count) where kind == .sim && simulation == .allowed:
            let devices = cpu.partition(into: count).enumerated().map { number, cores in
                ResolvedDevice(
                    info: GPUInfo(device: DeviceID(.sim, number), name: "Simulated accelerator", uuid: "SIM-\(number)"), cores: cores)
            }
            return (devices, [])
        case .count(let count): return ([], ["\(kind.rawValue):\(count)"])
        case .all:
            let all = accelerators(kind)
            return (all.map { resolved($0) }, all.isEmpty ? [kind.rawValue] : [])
        case .indices(let indices):
            let all = accelerators(kind)
            var (found, missing): ([ResolvedDevice], [String]) = ([], [])
            for index in indices {
                if let info = all.first(where: { $0.device.index == index }) {
                    found.append(resolved(info))
                } else {
                    missing.append("\(kind.rawValue):\(index)")
                }
            }
            return (found, missing)
        }
    }
}
