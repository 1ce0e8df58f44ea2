import Apus
import ApusErrors
import ApusExecution
import ApusSimulation
import ApusTensor
import Testing

@Suite("The search for the largest batch") struct FitSearchTests {
    @Test("ends a sixteenth below what fits, or nearer, in few tries", arguments: [1, 2, 3, 7, 31, 32, 33, 100, 999, 1000, 4095])
    func finds(capacity: Int) async throws {
        var search = FitSearch(most: 4096)
        var tried: [Int] = []
        try await search.run { size throws(ApusError) in
            tried.append(size)
            guard size <= capacity else { throw ApusError(.outOfMemory, "\(size) do not fit") }
            return size * 100
        }
        let largest = try #require(search.largest)
        #expect(largest <= capacity && largest >= capacity - capacity / 16)
        #expect(tried.count <= 2 * 12 + 2 && Set(tried).count == tried.count)
        #expect(search.tooLarge.map { $0 > capacity } == true)
        #expect(search.bytes == largest * 100)
    }

    @Test("tries nothing beyond what anybody asks for")
    func most() async throws {
        var search = FitSearch(most: 100)
        var tried: [Int] = []
        try await search.run { size throws(ApusError) in
            tried.append(size)
            return size
        }
        #expect(tried == [1, 2, 4, 8, 16, 32, 64, 100])
        #expect(search.largest == 100 && search.tooLarge == nil)
    }

    @Test("finds that nothing fits")
    func nothing() async throws {
        var search = FitSearch(most: 100)
        try await search.run { _ throws(ApusError) in throw ApusError(.outOfMemory, "too large") }
        #expect(search.largest == nil && search.tooLarge == 1)
    }

    @Test("never tries what is expected to take more than the limit")
    func limit() async throws {
        var search = FitSearch(most: 100_000, limitBytes: 50_000)
        try await search.run { size throws(ApusError) in
            #expect(1000 + size * 10 <= 50_000)
            return 1000 + size * 10
        }
        let largest = try #require(search.largest)
        #expect(largest > 4_500 && largest <= 4_900)
        #expect(search.tooLarge != nil)
    }

    @Test("passes on what has nothing to do with size")
    func otherFailures() async {
        var search = FitSearch(most: 100)
        await #expect { try await search.run { _ throws(ApusError) in throw ApusError(.engineFailure, "no") } } throws: {
            ($0 as? ApusError)?.code == .engineFailure
        }
    }

    @Test("asks a device of scripted memory, a new worker for each try")
    func simulated() async throws {
        let values = [ValueDescription("values", .float32, [.symbolic("length")])]
        let script = SimulatedScript(inputs: values, outputs: values) { inputs, _ in
            guard let values = inputs["values"], values.count <= 700 else {
                return .failure(ApusError(.outOfMemory, "the simulated device has room for 700 elements"))
            }
            return .success(values)
        }
        var workers = 0
        var search = FitSearch(most: 10_000)
        try await search.run { size throws(ApusError) in
            workers += 1
            let executor = SimulatedExecutor(device: DeviceID(.sim, 0), script, clock: ApusSimulation.MonotonicClock())
            defer { executor.kill() }
            let model = try await executor.load(LoadRequest(name: "doubling", source: .file("doubling.onnx")))
            let input = HostTensor([size], .float32([Float](repeating: 1, count: size)))
            _ = try await executor.prepare { () throws(ApusError) in try model.run(["values": input], output: 0, memory: .kept) }
            return size * 4
        }
        let largest = try #require(search.largest)
        #expect(largest <= 700 && largest > 656)
        #expect(workers > 10)
    }
}
