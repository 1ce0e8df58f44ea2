import ApusDevices
import ApusErrors
import Testing

@Suite struct MonitorOptionsTests {
    @Test func argumentsReadBack() throws {
        let options = MonitorOptions(
            intervalMilliseconds: 250, nvmlLibrary: "/a b/lib.so", cudaLibrary: "c", cudaPatienceMilliseconds: 7)
        #expect(try MonitorOptions(arguments: options.arguments) == options)
        #expect(try MonitorOptions(arguments: [String]()) == MonitorOptions())
    }

    @Test(arguments: [
        ["--interval"], ["--interval-ms"], ["--interval-ms", "soon"], ["--nvml", "a", "b"], ["--cuda-patience-ms", ""],
        ["--descriptor", "2"], ["--descriptor", "x"],
    ])
    func anythingElseIsRefused(arguments: [String]) {
        #expect(throws: ApusError.self) { try MonitorOptions(arguments: arguments) }
    }

    @Test func intervalsOutsideTheRangeAreClamped() {
        #expect(MonitorOptions(intervalMilliseconds: 0).intervalMilliseconds == 10)
        #expect(MonitorOptions(intervalMilliseconds: .max).intervalMilliseconds == 3_600_000)
        #expect(MonitorOptions(cudaPatienceMilliseconds: -1).cudaPatienceMilliseconds == 0)
    }
}
