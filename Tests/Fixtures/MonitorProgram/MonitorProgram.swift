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
            print("{\"kind\":\"snapshot\"")
        case "endless":
            while true { FileHandle.standardOutput.write(Data(repeating: UInt8(ascii: "x"), count: 65_536)) }
        default:
            exit(3)
        }
    }
}
