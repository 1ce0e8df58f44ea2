import ApusErrors
import Foundation

/// Where collections lie on this machine.
enum DataFolder {
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
