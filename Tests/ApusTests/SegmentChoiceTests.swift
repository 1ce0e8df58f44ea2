import Apus
import ApusBatching
import ApusDevices
import ApusErrors
import ApusExecution
import ApusFleet
import ApusTensor
import Foundation
import Testing

/// How a model is cut where memory is short: estimates only, nothing is loaded.
@Suite struct SegmentChoiceTests {
    private static let device = DeviceID(.cpu, 0)
    private static let fixtures = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .appendingPathComponent("Fixtures/tiny")

    private static func choice(
        limit: Int?, _ request: SegmentRequest = .automatic, tokenBudget: Int? = nil, form: NetworkForm = .fusedFP32, model: String = "bert-mean"
    ) throws -> SegmentChoice {
        var settings = ExecutorSettings(device: device, lanes: 2, engineLibrary: "")
        settings.memoryLimitBytes = limit
        let plan = try FleetPlan([FleetPlan.Member(settings, role: .intended, info: GPUInfo(device: device, name: "CPU"))])
        let subject = try PrecisionSubject(directory: fixtures.appendingPathComponent(model).path)
        let policy = try BatchPolicy(tokenBudget: tokenBudget)
        return try DeviceMemoryBook(plan, hostBytes: 8 << 30).admit(
            subject, "m", request, policy, maxTokens: nil, as: PrecisionChoice(unmeasured: form, floor: 0.99, reason: ""), on: device)
    }

    /// The limit under which as many bytes can be promised: a twentieth stays free.
    private static func limit(_ bytes: Int) -> Int { bytes * 20 / 19 + 20 }

    @Test func whatFitsRunsWhole() throws {
        let choice = try Self.choice(limit: nil)
        #expect(choice.segmentation == nil && choice.tokenBudget == nil)
        #expect(try Self.choice(limit: Self.limit(choice.bytes)) == choice)
    }

    @Test func largeBatchesThatDoNotFitGoInChunks() throws {
        let whole = try Self.choice(limit: nil, tokenBudget: 100_000)
        let chunked = try Self.choice(limit: Self.limit(whole.bytes / 2), tokenBudget: 100_000)
        #expect(chunked.segmentation?.residency == .resident && chunked.segmentation?.count == 1)
        #expect(chunked.needs[.weights] == whole.needs[.weights])
        #expect(try #require(chunked.needs[.arena]) * 4 < #require(whole.needs[.arena]))
        #expect(chunked.bytes <= whole.bytes / 2)
    }

    @Test func weightsThatDoNotFitAreReadInSegments() throws {
        let whole = try Self.choice(limit: nil)
        let always = try SegmentRequest(offload: .always)
        let read = try Self.choice(limit: nil, always)
        #expect(read.segmentation?.residency == .prefetched && read.segmentation?.count == 2)
        let one = try Self.choice(limit: nil, try SegmentRequest(segments: 2, offload: .always))
        #expect(one == read)
        // Two of two segments are all weights; one is the larger half.
        #expect(read.needs[.weights] == whole.needs[.weights])
        let tight = try Self.choice(limit: Self.limit(read.bytes - 20_000), always)
        #expect(tight.segmentation?.residency == .offloaded)
        #expect(try #require(tight.needs[.weights]) < #require(whole.needs[.weights]))
        #expect(try #require(tight.tokenBudget) > 384)
    }

    @Test func segmentsThatWereAskedForStayLoadedWhereTheyFit() throws {
        let asked = try Self.choice(limit: nil, try SegmentRequest(segments: 2))
        #expect(asked.segmentation == (try Segmentation(count: 2, residency: .resident, chunkTokens: 384)))
        #expect(try Self.choice(limit: nil, try SegmentRequest(segments: 1)).segmentation == nil)
        #expect(try Self.choice(limit: nil, try SegmentRequest(segments: 2, offload: .never)).segmentation?.residency == .resident)
    }

    @Test func whatFitsInNoWayIsRefusedWithTheArithmetic() throws {
        for request in [SegmentRequest.automatic, try SegmentRequest(offload: .never), try SegmentRequest(offload: .always)] {
            #expect { _ = try Self.choice(limit: 1 << 16, request) } throws: {
                ($0 as? ApusError)?.code == .insufficientMemory && "\($0)".contains("weights")
            }
        }
    }

    @Test func whatCannotBeCutIsRefused() throws {
        for (segments, offload) in [(3, Offload.auto), (1_000, .never)] {
            let request = try SegmentRequest(segments: segments, offload: offload)
            #expect { _ = try Self.choice(limit: nil, request) } throws: { ($0 as? ApusError)?.code == .unsupportedPlan }
        }
        for segments in [0, -1, .min] {
            #expect { _ = try SegmentRequest(segments: segments) } throws: { ($0 as? ApusError)?.code == .invalidValue }
        }
    }
}
