import ApusErrors
import Foundation

/// Folders of a store.
enum Folder {
    /// Makes a folder, and those above it, for its owner alone. Throws `store_unavailable`.
    static func make(_ path: String) throws(ApusError) {
        do {
            try FileManager.default.createDirectory(
                atPath: path, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        } catch {
            throw ApusError(.storeUnavailable, "the folder cannot be made", place: path, cause: error)
        }
    }

    /// Returns when the names in the folder are on the disk. Throws `store_unavailable`.
    static func flush(_ path: String) throws(ApusError) {
        let descriptor = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { throw StoreFailure.system("the folder cannot be opened", errno, path) }
        defer { close(descriptor) }
        guard fsync(descriptor) == 0 else { throw StoreFailure.system("the folder cannot be written", errno, path) }
    }

    static func rename(_ from: String, to path: String) throws(ApusError) {
        guard Foundation.rename(from, path) == 0 else { throw StoreFailure.system("the folder cannot be renamed", errno, from) }
    }

    static func exists(_ path: String) -> Bool {
        var status = stat()
        return stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
    }

    /// The folders in a folder; none where it cannot be read.
    static func names(in path: String) -> [String] {
        ((try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []).filter { exists("\(path)/\($0)") }
    }

    /// Removes a folder with all that is in it; what cannot be removed stays.
    static func remove(_ path: String) {
        try? FileManager.default.removeItem(atPath: path)
    }
}
