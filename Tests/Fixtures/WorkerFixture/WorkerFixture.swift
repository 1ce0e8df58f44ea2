import ApusErrors
import ApusExecution
import ApusWorkerHost
import ApusWorkers
import Foundation

/// The program that tests start as a worker. Its first argument says what kind of worker it is.
@main
enum WorkerFixture {
    static func main() async {
        let arguments = CommandLine.arguments
        switch arguments.dropFirst().first {
        case "engine":
            WorkerHost.run()
        default:
            exit(3)
        }
    }
}
