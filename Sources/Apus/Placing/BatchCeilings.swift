import ApusTensor
import Foundation
import NIOConcurrencyHelpers

/// The largest batches that are known to fit, by model, device and form: learned when one was too large or found ahead of time by search,
/// and remembered on disk. Anything unreadable counts as unknown: it is learned again.
package final class BatchCeilings: Sendable {
    package struct Key: Sendable, Hashable {
        /// SHA-256 of the weights.
        package var weights: String
        package var device: DeviceID
        /// ``ServedForm/label``.
        package var form: String

        package init(weights: String, device: DeviceID, form: String) {
            self.weights = weights
            self.device = device
            self.form = form
        }
    }

    /// Nil when no folder can be written, or what is learned here says nothing about the real device.
    private let directory: String?
    private let known = NIOLockedValueBox<[Key: Int?]>([:])

    package init(directory: String?) {
        self.directory = directory
    }

    /// Padded tokens; nil while nothing is known.
    package func ceiling(_ key: Key) -> Int? {
        known.withLockedValue { known in
            if let known = known[key] { return known }
            let read = path(key).flatMap { FileManager.default.contents(atPath: $0) }.flatMap { String(data: $0, encoding: .utf8) }
            let ceiling = read.flatMap { Int($0.trimmingCharacters(in: .whitespacesAndNewlines)) }.flatMap { $0 > 0 ? $0 : nil }
            known[key] = .some(ceiling)
            return ceiling
        }
    }

    /// Called on lanes: the file is written elsewhere.
    package func store(_ paddedTokens: Int, _ key: Key) {
        known.withLockedValue { $0[key] = .some(paddedTokens) }
        Task.detached { self.storeNow(paddedTokens, key) }
    }

    /// Returns when it is written.
    package func storeNow(_ paddedTokens: Int, _ key: Key) {
        known.withLockedValue { $0[key] = .some(paddedTokens) }
        guard let path = path(key) else { return }
        // A full disk costs only a batch that is too large after the next start.
        try? Data("\(paddedTokens)\n".utf8).write(to: URL(fileURLWithPath: path), options: .atomic)
    }

    private func path(_ key: Key) -> String? {
        directory.map { "\($0)/\(key.weights)-\(key.form)-\(key.device.kind.rawValue)\(key.device.index).txt" }
    }
}
