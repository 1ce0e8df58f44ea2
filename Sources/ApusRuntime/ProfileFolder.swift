import ApusErrors
import Foundation

/// The folder that profiles land in, and in it the hidden one of a recording that is under way.
///
/// A hidden folder is locked as long as its recording lives. So what a process left behind that ended meanwhile is known from what other
/// workers are writing, and goes with the next recording.
final class ProfileFolder: Sendable {
    /// Where finished profiles are.
    let finished: URL
    /// Where the engine writes its traces.
    let hidden: URL
    private let lock: Int32

    /// Finished profiles that are kept; of more, the oldest go.
    static let mostProfiles = 64

    /// Makes the folders under `directory`. Throws `file_unwritable` when they cannot be made.
    init(directory: String) throws(ApusError) {
        finished = URL(fileURLWithPath: directory).standardizedFileURL.appendingPathComponent("logs/gpu_profiles")
        hidden = finished.appendingPathComponent(".\(UUID().uuidString)")
        do {
            try FileManager.default.createDirectory(at: finished, withIntermediateDirectories: true)
            let (finished, hidden) = (finished, hidden)
            lock = try Self.alone(in: finished) {
                Self.removeAbandoned(in: finished)
                try FileManager.default.createDirectory(at: hidden, withIntermediateDirectories: false)
                return Self.locked(hidden) ?? -1
            }
        } catch {
            throw ApusError(.fileUnwritable, "the folder for profiles cannot be made", place: finished.path, cause: error)
        }
    }

    deinit {
        if lock >= 0 { close(lock) }
    }

    /// Takes the hidden folder away, and the oldest of too many profiles.
    func clean() {
        let (finished, hidden) = (finished, hidden)
        Self.alone(in: finished) {
            try? FileManager.default.removeItem(at: hidden)
            Self.removeOldest(in: finished)
        }
    }

    /// One recording at a time looks for what is abandoned, so that none is taken between its making and its lock.
    private static func alone<Value>(in folder: URL, _ body: () throws -> Value) rethrows -> Value {
        let descriptor = open(folder.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        defer { if descriptor >= 0 { close(descriptor) } }
        // Where a file system has no locks, recordings go on without.
        if descriptor >= 0 { flock(descriptor, LOCK_EX) }
        return try body()
    }

    /// The descriptor that holds the lock on a folder; nil while somebody else holds it, or where there are no locks.
    private static func locked(_ folder: URL) -> Int32? {
        let descriptor = open(folder.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            close(descriptor)
            return nil
        }
        return descriptor
    }

    private static func removeAbandoned(in folder: URL) {
        for name in names(in: folder) where name.hasPrefix(".") && UUID(uuidString: String(name.dropFirst())) != nil {
            let place = folder.appendingPathComponent(name)
            guard let descriptor = locked(place) else { continue }
            try? FileManager.default.removeItem(at: place)
            close(descriptor)
        }
    }

    private static func removeOldest(in folder: URL) {
        let profiles = names(in: folder).filter { $0.hasSuffix(".json") && !$0.hasPrefix(".") }.map { name in
            let place = folder.appendingPathComponent(name)
            let written = (try? FileManager.default.attributesOfItem(atPath: place.path))?[.modificationDate] as? Date
            return (place, written: written ?? .distantPast)
        }
        for (place, _) in profiles.sorted(by: { $0.written > $1.written }).dropFirst(mostProfiles) {
            try? FileManager.default.removeItem(at: place)
        }
    }

    private static func names(in folder: URL) -> [String] {
        (try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? []
    }
}
