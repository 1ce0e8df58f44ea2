import ApusDevices
import Foundation

/// What `apus worker --monitor` is in a server: a program that hosts the monitor, for the tests of both sides. The first argument says which
/// monitor it is.
@main enum MonitorProgram {
    static func main() throws {
        switch CommandLine.arguments.dropFirst().first {
        case "monitor":
            DeviceMonitorHost.run(try MonitorOptions(arguments: CommandLine.arguments.dropFirst(2)))
        case "nonsense":
            put("{\"kind\":\"snapshot\"\n")
        case "endless":
            while put(String(repeating: "x", count: 65_536)) {}
        default:
            exit(3)
        }
    }

    /// Writes to the socket that the front listens to.
    @discardableResult
    private static func put(_ text: String) -> Bool {
        Array(text.utf8).withUnsafeBytes { write(3, $0.baseAddress, $0.count) } > 0
    }
}
