package import ApusErrors
import COnnxRuntime

extension Engine {
    /// The execution providers compiled into the library, most capable first.
    package func availableProviders() throws(ApusError) -> [String] {
        var names: UnsafeMutablePointer<UnsafeMutablePointer<CChar>>?
        var count: Int32 = 0
        try check(OrtGetAvailableProviders(api, &names, &count))
        guard let names else { return [] }
        defer { _ = try? check(OrtReleaseAvailableProviders(api, names, count)) }
        return (0..<Int(count)).map { String(cString: names[$0]) }
    }

    /// What this engine offers, with the libraries of `plugins` (by absolute path) loaded. A library that does not load is told of in the
    /// answer and spoils nothing else.
    package func offeredDevices(plugins: [ProviderName: String] = [:]) throws(ApusError) -> OfferedDevices {
        var refused: [OfferedDevices.Refusal] = []
        for (name, path) in plugins.sorted(by: { $0.key.rawValue < $1.key.rawValue }) {
            do throws(ApusError) {
                try loadProvider(name, path)
            } catch {
                refused.append(OfferedDevices.Refusal(provider: name, error: error))
            }
        }
        return OfferedDevices(providers: try availableProviders(), devices: try devices(), refused: refused)
    }

    /// The device at `index` among those that the provider `name` of the library at `path` (absolute) offers.
    ///
    /// Throws `provider_unavailable` when the library does not load, is no provider, or offers no such device.
    package func pluginDevice(_ name: ProviderName, library path: String, index: Int) throws(ApusError) -> ProviderDevice {
        try loadProvider(name, path)
        let all = try devices()
        let offered = all.filter { $0.provider.utf8.elementsEqual(name.rawValue.utf8) }
        guard offered.indices.contains(index) else {
            let others = Set(all.map(\.provider)).sorted().joined(separator: ", ")
            throw ApusError(
                .providerUnavailable,
                offered.isEmpty
                    ? "the \(name.title) provider offers no device on this machine (there are devices of \(others))"
                    : "the \(name.title) provider offers \(offered.count) device\(offered.count == 1 ? "" : "s"), there is no device \(index)",
                place: path, advice: "`apus gpu info` lists the devices that each provider offers")
        }
        return offered[index]
    }

    /// Throws `provider_unavailable` when no session could be made with `provider`: it is not compiled in, its libraries are missing, or it has
    /// no such device. `device` is its name in the message.
    package func verify(_ provider: ExecutionProvider, device: String) throws(ApusError) {
        if case .cuda(_, _, let tensorRT) = provider {
            let available = try availableProviders()
            for name in [ProviderName.cuda] + (tensorRT == nil ? [] : [.tensorRT]) where !available.contains(name.rawValue) {
                throw ApusError(
                    .providerUnavailable,
                    "this engine has no \(name.title) provider: ONNX Runtime \(version) at this path offers \(available.joined(separator: ", "))",
                    place: libraryPath, advice: name.advice)
            }
        }
        _ = try SessionOptions.open(self, provider: provider, device: device, threads: 1, optimization: .all)
    }

    private func devices() throws(ApusError) -> [ProviderDevice] {
        var handles: UnsafePointer<OpaquePointer>?
        var count = 0
        try check(OrtGetEpDevices(api, environment, &handles, &count))
        guard let handles else { return [] }
        return (0..<count).map { ProviderDevice(handles[$0], self) }
    }

    /// Loads a provider library once; it stays for the life of the process, as the engine itself does. Throws `provider_unavailable`.
    private func loadProvider(_ name: ProviderName, _ path: String) throws(ApusError) {
        try loadedProviders.withLock { loaded throws(ApusError) in
            if let other = loaded[name] {
                guard other != path else { return }
                throw ApusError(
                    .providerUnavailable, "the \(name.title) provider of this process is already that of another library, \(other)",
                    place: path)
            }
            do throws(ApusError) {
                // Registered under the provider's own name: some providers call themselves what they are registered as.
                try check(OrtRegisterExecutionProviderLibrary(api, environment, name.rawValue, path))
            } catch {
                throw ProviderFailure(provider: name, device: "this machine", library: path, text: error.message).error
            }
            loaded[name] = path
        }
    }

    func pairs(_ handle: OpaquePointer?) -> [String: String] {
        guard let handle else { return [:] }
        var keys: UnsafePointer<UnsafePointer<CChar>>?
        var values: UnsafePointer<UnsafePointer<CChar>>?
        var count = 0
        OrtGetKeyValuePairs(api, handle, &keys, &values, &count)
        guard let keys, let values else { return [:] }
        var pairs: [String: String] = [:]
        for index in 0..<count { pairs[String(cString: keys[index])] = String(cString: values[index]) }
        return pairs
    }
}
