import Apus
import ApusErrors
import Testing

struct EngineOfferTests {
    @Test func `an offer crosses the process boundary whole`() throws {
        let offer = EngineOffer(
            version: "1.31.1", providers: ["CUDAExecutionProvider", "CPUExecutionProvider"],
            devices: [.init(provider: "OpenVINOExecutionProvider", name: "A \"quoted\" vendor npu")],
            refused: [.init(provider: "WebGpuExecutionProvider", library: "lib.so", reason: "no library")])
        guard case .offer(let copy) = try EngineOffer.Answer(EngineOffer.Answer.offer(offer).json) else {
            Issue.record("it came out as a failure")
            return
        }
        #expect(copy == offer)
    }

    @Test func `a failure crosses with code, place and advice`() throws {
        let error = ApusError(.engineMissing, "not there", place: "lib.so", advice: "Run `make setup`")
        guard case .failure(let copy) = try EngineOffer.Answer(EngineOffer.Answer.failure(error).json) else {
            Issue.record("it came out as an offer")
            return
        }
        #expect(copy.code == .engineMissing && copy.description == error.description)
    }

    @Test(arguments: ["", "{}", "[]", #"{"version":"1"}"#, #"{"version":1,"providers":[],"devices":[],"refused":[]}"#])
    func `anything else is refused`(_ text: String) {
        #expect(throws: ApusError.self) { try EngineOffer.Answer(Array(text.utf8)) }
    }

    @Test func `a process that says nothing is an error`() async {
        await #expect(throws: ApusError.self) {
            try await EngineOffer.ask(executable: "/bin/true", engineLibrary: "lib.so", plugins: [:])
        }
    }
}
