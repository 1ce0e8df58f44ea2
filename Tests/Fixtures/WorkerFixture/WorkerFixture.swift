import ApusErrors
import ApusExecution
import ApusWorkerHost
import Foundation

/// The program that tests start as a worker. Its first argument says what kind of worker it is.
@main
enum WorkerFixture {
    static func main() async {
        switch CommandLine.arguments.dropFirst().first {
        case "engine":
            await WorkerHost.run()
        case "scripted":
            await WorkerHost.run { settings throws(ApusError) in
                WorkerHost.Hosted(ScriptedExecutor(settings), engineVersion: "scripted 1.0")
            }
        case "refusing":
            await WorkerHost.run { _ throws(ApusError) in
                throw ApusError(
                    .engineMissing, "libcublasLt.so.13: cannot open shared object file", place: "/lib/provider.so", advice: "Install CUDA 13")
            }
        case "opening-forever":
            await WorkerHost.run { _ throws(ApusError) in
                while true { pause() }
            }
        case "silent":
            while true { pause() }
        case "impostor":
            write(3, Array("HTTP/1.1 200 OK\r\n\r\n and a little more".utf8), 36)
            while true { pause() }
        case "front":
            await FixtureFront.run()
        default:
            exit(7)
        }
    }
}
