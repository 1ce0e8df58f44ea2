import CApusCollectives
import Foundation
import Testing

/// Sums on devices against a fake of NVIDIA's library: the order of calls, failures and ends. Nothing here has seen a GPU.
@Suite("Ranks that add up on devices", .timeLimit(.minutes(1)), .serialized) struct DeviceRanksTests {
    /// Ranks on devices 4, 5, …
    private static func ranks(_ count: Int, _ nccl: FakeNCCL) throws -> Ranks {
        let ranks = try #require(Ranks(count))
        var reason = [CChar](repeating: 0, count: Int(APUS_REASON_BYTES))
        let devices = (0..<count).map { Int32($0 + 4) }
        let joined = withUnsafePointer(to: nccl.functions) { apus_device_ranks_create($0, Int32(count), devices, &reason) }
        apus_communicator_take_devices(ranks.communicator, try #require(joined))
        return ranks
    }

    private static func sum(
        _ ranks: Ranks, _ rank: Int, _ input: [Float], type: apus_device_type = APUS_DEVICE_FLOAT32
    ) -> (result: apus_sum_result, output: [Float]) {
        var output = [Float](repeating: .nan, count: input.count)
        let stream = UnsafeMutableRawPointer(bitPattern: 0x5000)
        let result = apus_communicator_device_sum(ranks.communicator, Int32(rank), type, input, &output, input.count, stream)
        return (result, output)
    }

    @Test("every rank gets the sum, again and again, through its stream") func sums() throws {
        let nccl = try FakeNCCL()
        do {
            let ranks = try Self.ranks(4, nccl)
            for round in 1...3 {
                let results = ranks.each { rank in Self.sum(ranks, rank, [Float(rank), Float(round), 1]) }
                for (result, output) in results {
                    #expect(result == APUS_SUM_OK && output == [6, Float(4 * round), 4])
                }
            }
            #expect(nccl.stream == UnsafeMutableRawPointer(bitPattern: 0x5000) && nccl.type == 7)
            #expect((0..<4).map { nccl.device($0) } == [4, 5, 6, 7])
            #expect(nccl.live == 4 && ranks.reason == nil)
        }
        // The threads hold the communicator until they are gone.
        nccl.waitUntilGivenBack()
        #expect(nccl.live == 0 && nccl.destroyed == 4 && nccl.aborted == 0)
    }

    @Test("half precision is handed on as what it is", arguments: [APUS_DEVICE_FLOAT16, APUS_DEVICE_BFLOAT16])
    func types(type: apus_device_type) throws {
        let nccl = try FakeNCCL()
        let ranks = try Self.ranks(2, nccl)
        #expect(ranks.each { Self.sum(ranks, $0, [1], type: type).result }.allSatisfy { $0 == APUS_SUM_OK })
        #expect(nccl.type == type.rawValue)
    }

    @Test("a rank that fails ends those that wait for it, and all later sums") func failure() throws {
        let nccl = try FakeNCCL()
        do {
            let ranks = try Self.ranks(3, nccl)
            nccl.fail(1)
            let results = ranks.each { Self.sum(ranks, $0, [1, 2]).result }
            #expect(results[0] == APUS_SUM_DEVICE && results.allSatisfy { $0 != APUS_SUM_OK })
            #expect(ranks.reason?.contains("unhandled cuda error") == true)
            nccl.fail(0)
            #expect(ranks.each { Self.sum(ranks, $0, [1]).result }.allSatisfy { $0 != APUS_SUM_OK })
            #expect(nccl.aborted == 3)
        }
        nccl.waitUntilGivenBack()
        // Aborting gives a communicator back: it is not destroyed once more.
        #expect(nccl.live == 0 && nccl.destroyed == 0 && nccl.aborted == 3)
    }

    @Test("an abort wakes ranks that wait in the library") func abort() throws {
        let nccl = try FakeNCCL()
        let ranks = try Self.ranks(3, nccl)
        let results = ranks.each { rank in
            guard rank == 2 else { return Self.sum(ranks, rank, [1]).result }
            usleep(20_000)
            ranks.abort("rank 2 is dead")
            return APUS_SUM_ABORTED
        }
        #expect(results.allSatisfy { $0 != APUS_SUM_OK } && ranks.reason == "rank 2 is dead")
        #expect(nccl.aborted == 3)
        ranks.abort("again")
        #expect(nccl.aborted == 3)
    }

    @Test("what failed on a device since the last sum is told by the next") func failsLater() throws {
        let nccl = try FakeNCCL()
        let ranks = try Self.ranks(2, nccl)
        #expect(ranks.each { Self.sum(ranks, $0, [1]).result }.allSatisfy { $0 == APUS_SUM_OK })
        nccl.failLater(6)
        #expect(ranks.each { Self.sum(ranks, $0, [1]).result }.allSatisfy { $0 != APUS_SUM_OK })
        #expect(ranks.reason?.contains("remote process exited") == true)
    }

    @Test("devices that cannot be joined, and ranks without devices, say so") func refusals() throws {
        let nccl = try FakeNCCL()
        nccl.fail(4)
        var reason = [CChar](repeating: 0, count: Int(APUS_REASON_BYTES))
        func text() -> String { String(decoding: reason.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self) }
        #expect(withUnsafePointer(to: nccl.functions) { apus_device_ranks_create($0, 2, [0, 1], &reason) } == nil)
        #expect(text() == "NCCL cannot join 2 devices: invalid argument" && nccl.live == 0)
        #expect(withUnsafePointer(to: nccl.functions) { apus_device_ranks_create($0, 65, [0], &reason) } == nil)
        let ranks = try #require(Ranks(2))
        #expect(Self.sum(ranks, 0, [1]).result == APUS_SUM_DEVICE)
        #expect(ranks.reason?.contains("no devices") == true)
    }

    @Test("a library that is missing, or is another, is told in a line") func libraries() throws {
        var functions = apus_nccl()
        var reason = [CChar](repeating: 0, count: Int(APUS_REASON_BYTES))
        func open(_ path: String) -> String? { apus_nccl_open(path, &functions, &reason).map { String(cString: $0) } }
        let missing = try #require(open("/nowhere/libnccl.so.2"))
        #expect(missing.contains("/nowhere/libnccl.so.2") && !missing.contains("\n"))
        #expect(open("libc.so.6")?.contains("does not export ncclGetVersion") == true)
        #expect(String(cString: apus_nccl_library) == "libnccl.so.2")
    }
}
