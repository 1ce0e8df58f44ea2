import ApusDevices
import ApusErrors
import ApusExecution
import ApusSimulation
import ApusTensor
import Testing

@Suite struct ChaosScriptTests {
    private let devices = [DeviceID(.cpu, 0), DeviceID(.cpu, 1), DeviceID(.cuda, 0)]

    private func refusal(_ text: String) -> ApusError? {
        do {
            _ = try ChaosScript(text, devices: devices)
            return nil
        } catch {
            return error
        }
    }

    @Test func theExampleOfTheGrammarIsRead() throws {
        let script = try ChaosScript("cuda:0:oom@100x3,cpu:1:crash@5s", devices: devices)
        #expect(
            script.entries == [
                .init(DeviceID(.cuda, 0), .oom, .run(100), count: 3), .init(DeviceID(.cpu, 1), .crash, .time(5_000_000_000)),
            ])
    }

    @Test(arguments: StepFault.allCases)
    func everyFaultCanBeAskedFor(fault: StepFault) throws {
        #expect(try ChaosScript("cpu:0:\(fault.rawValue)@1", devices: devices).entries == [.init(DeviceID(.cpu, 0), fault, .run(1))])
    }

    @Test(arguments: [("0s", 0), ("500ms", 500_000_000), ("1s", 1_000_000_000), ("31536000s", 31_536_000_000_000_000), ("1ms", 1_000_000)])
    func timesAreSecondsOrMilliseconds(text: String, nanoseconds: Int) throws {
        let script = try ChaosScript("cpu:0:slow@\(text)x2", devices: devices)
        #expect(script.entries == [.init(DeviceID(.cpu, 0), .slow, .time(nanoseconds), count: 2)])
    }

    @Test func spacesAroundEntriesDoNotMatter() throws {
        #expect(try ChaosScript(" cpu:0:oom@1 , cpu:1:oom@2 ", devices: devices).entries.count == 2)
    }

    @Test(arguments: [
        "", "  ", ",", "cpu:0:oom@1,", "cpu:0:oom", "cpu:0@1", "oom@1", "@", "cpu:0:oom@", "cpu:0:oom@x3", "cpu:0:oom@0", "cpu:0:oom@-1",
        "cpu:0:oom@+1", "cpu:0:oom@1.5s", "cpu:0:oom@1e3", "cpu:0:oom@1m", "cpu:0:oom@s", "cpu:0:oom@ms", "cpu:0:oom@5sx0", "cpu:0:oom@5x",
        "cpu:0:oom@5x-1", "cpu:0:oom@5xx2", "cpu:0:oom@1x2x3", "cpu:0:OOM@1", "cpu:0:melt@1", "cpu:00:oom@1", "CPU:0:oom@1", "cpu:0:oom @1",
        "cpu:0:oom@99999999999999999999", "cpu:0:oom@31536001s", "cpu:0:oom@9223372036854775807ms", "cpu:0:oom@1x9999999999",
        "cpu:0:oom@٣", "cpu:7:oom@1", "cpu:0:oom@1 cpu:1:oom@1",
    ])
    func whatIsNoScriptIsRefusedInOneSentence(text: String) {
        let error = refusal(text)
        #expect(error?.code == .invalidValue && error?.place == "--chaos")
    }

    @Test func refusalsNameThePartAndWhatIsAllowed() {
        #expect(refusal("cpu:0:oom@1,cpu:7:oom@1")?.message.contains("\"cpu:7:oom@1\"") == true)
        #expect(refusal("cpu:7:oom@1")?.message.contains("this server has cpu:0, cpu:1, cuda:0") == true)
        #expect(refusal("cpu:0:melt@1")?.message.contains("oom, sticky, hang, crash, lost, throttle, slow") == true)
        #expect(refusal("cpu:0:oom@soon")?.message.contains("5s or 500ms") == true)
        #expect(refusal("cpu:0:oom@1x0")?.message.contains("from 1 to") == true)
    }
}
