package import ApusErrors

/// Why a provider cannot be used, from what the engine says when it is asked for. With ``EngineStatus`` the only place where texts of
/// the engine are read: it has one code for all of this.
package struct ProviderFailure {
    package let provider: ProviderName
    /// What it was to be used on: `cuda:3`, or `this machine` while a library is loaded, before any device is asked for.
    package let device: String
    /// The library that was to be loaded, for providers outside the engine.
    package let library: String?
    /// The engine's own text.
    package let text: String

    package init(provider: ProviderName, device: String, library: String?, text: String) {
        self.provider = provider
        self.device = device
        self.library = library
        self.text = text
    }

    package var error: ApusError {
        let title = "the \(provider.title) provider"
        if let reason = line(after: "with error: "), text.contains("Failed to load library") {
            return failed("\(title) could not be loaded: \(reason)", provider.libraryAdvice)
        }
        if text.contains("Failed to get symbol CreateEpFactories") {
            return failed("this library is not an execution provider: it does not export CreateEpFactories", provider.advice)
        }
        if let reason = line(after: "Invalid device ID: ") {
            return failed("there is no device \(device): Invalid device ID: \(reason)", Self.deviceAdvice)
        }
        if let failure = text.firstRange(of: "CUDA failure ") {
            // Behind the first semicolon stand host name, source file and expression.
            let reason = text[failure.lowerBound...].prefix { $0 != ";" && $0 != "\n" }
            return failed("\(title) cannot use \(device): \(Self.trimmed(reason))", Self.deviceAdvice)
        }
        return failed("\(title) cannot be used on \(device): \(Self.trimmed(text[...]))", provider.advice)
    }

    private static let deviceAdvice =
        "`apus gpu info` lists the devices that the driver shows; CUDA_VISIBLE_DEVICES and the container's settings may hide some"

    private func failed(_ message: String, _ advice: String) -> ApusError {
        ApusError(.providerUnavailable, message, place: library, advice: advice)
    }

    private func line(after marker: String) -> String? {
        guard let range = text.firstRange(of: marker) else { return nil }
        return Self.trimmed(text[range.upperBound...].prefix { $0 != "\n" })
    }

    private static func trimmed(_ text: Substring) -> String {
        var text = text
        while let first = text.first, first.isWhitespace { text.removeFirst() }
        while let last = text.last, last.isWhitespace { text.removeLast() }
        return String(text)
    }
}
