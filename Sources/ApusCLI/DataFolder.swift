import ApusErrors
import ApusStores
import ApusVectors
import Foundation

/// Where collections lie on this machine.
enum DataFolder {
    /// The collections in the database that is named by a `postgres://` address, else in the folder. Waits for the disk, and not for a database.
    ///
    /// - Parameters:
    ///   - libpq: the file of PostgreSQL's client library; nil for the system's.
    ///   - compaction: when collections in files are compacted by themselves; nil for never.
    ///   - observer: is told what the store does by itself.
    /// - Throws: `.storeUnavailable` where another process writes into the folder or it cannot be used, `.invalidConfiguration` for an address that cannot
    ///   be meant.
    static func open(
        _ named: String?, environment: [String: String], access: LocalCollections.Access = .readWrite, libpq: String? = nil,
        compaction: CompactionPolicy? = nil, observer: CollectionObserver? = nil
    ) throws(ApusError) -> any CollectionStore {
        if let named, PostgresSettings.isURL(named) {
            return try PostgresCollections(PostgresSettings(url: named, library: libpq), observer: observer)
        }
        return try LocalCollections(
            folder: path(named, environment: environment), access: access, engine: CPUVectorSearch(), compaction: compaction, observer: observer)
    }

    /// The folder that is named, or `apus` in the XDG data folder (XDG Base Directory Specification, `$XDG_DATA_HOME`, else `~/.local/share`).
    /// - Throws: `.storeUnavailable` where none is named and the environment knows no home.
    static func path(_ named: String?, environment: [String: String]) throws(ApusError) -> String {
        if let named { return named }
        if let data = environment["XDG_DATA_HOME"], data.hasPrefix("/") { return "\(data)/apus" }
        guard let home = environment["HOME"], home.hasPrefix("/") else {
            throw ApusError(
                .storeUnavailable, "there is no folder for collections, because neither XDG_DATA_HOME nor HOME is set",
                advice: "Name one with --data or data_dir")
        }
        return "\(home)/.local/share/apus"
    }
}
