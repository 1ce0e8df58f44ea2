import Apus
import ApusDevices
import ApusErrors
import ApusExecution
import ApusTensor
import Foundation
import Testing

@Suite struct PrecisionChoiceTests {
    private let cpu = DeviceID(.cpu, 0)
    private static let wide: CPUFeatures = [.avx2, .avx512, .vnni, .bf16]

    private func measured(_ form: NetworkForm, _ cosine: Double, _ speed: Double) -> PrecisionChoice.Candidate {
        .init(form, .measured(.init(cosine: cosine, shortTokensPerSecond: speed, longTokensPerSecond: speed)))
    }

    private func forms(_ precision: Precision, _ device: DeviceID, _ capability: (Int, Int)? = nil, features: CPUFeatures = wide, floor: Double? = nil) throws -> [NetworkForm] {
        try PrecisionDevice(device, capability: capability.map { .init($0.0, $0.1) }, features: features).forms(precision, floor: floor)
    }

    @Test func `On a CPU auto weighs what loses next to nothing, and more only below the usual floor`() throws {
        #expect(try forms(.auto, cpu) == [.fusedFP32, .kernelsFP32, .kernelsBF16])
        #expect(try forms(.auto, cpu, floor: 0.9999) == [.fusedFP32, .kernelsFP32, .kernelsBF16])
        #expect(try forms(.auto, cpu, floor: 0.99) == [.fusedFP32, .kernelsFP32, .kernelsBF16, .kernelsInt8, .fusedInt4])
        #expect(try forms(.auto, cpu, features: .avx2) == [.fusedFP32, .kernelsFP32])
        #expect(try forms(.auto, cpu, features: [], floor: 0.9) == [.fusedFP32, .kernelsFP32, .fusedInt4])
    }

    @Test(arguments: [((9, 0), 3), ((8, 0), 3), ((7, 5), 2), ((6, 0), 2), ((5, 2), 1)])
    func `On CUDA devices the compute capability decides which 16-bit forms are weighed`(capability: (Int, Int), count: Int) throws {
        let all: [NetworkForm] = [.fusedBF16, .fusedFP16, .plainFP32]
        #expect(try forms(.auto, DeviceID(.cuda, 0), capability) == Array(all.suffix(count)))
    }

    @Test(arguments: [
        (Precision.fp16, DeviceID(.cpu, 0), (0, 0), CPUFeatures.avx2, "Available are fp32, int8, int4, auto"),
        (.bf16, DeviceID(.cpu, 0), (0, 0), .avx2, "Available are fp32, int8, int4, auto"),
        (.bf16, DeviceID(.cuda, 1), (7, 5), .avx2, "Available are fp32, fp16, int8, int4, auto"),
        (.fp16, DeviceID(.cuda, 1), (5, 2), .avx2, "Available are fp32, int8, int4, auto"),
    ])
    func `What a device lacks is refused with what it has`(row: (Precision, DeviceID, (Int, Int), CPUFeatures, String)) {
        #expect { try forms(row.0, row.1, row.2, features: row.3) } throws: { error in
            let error = error as? ApusError
            return error?.code == .unsupportedPrecision && error?.advice == row.4 && error?.message.contains("\(row.1)") == true
        }
    }

    @Test func `The fastest at or above the floor is taken`() throws {
        let candidates = [measured(.fusedFP32, 1, 100), measured(.kernelsFP32, 1, 130), measured(.kernelsBF16, 0.99995, 200)]
        #expect(try PrecisionChoice(candidates, asked: .auto, PrecisionRequest(), on: cpu, model: "m").form == .kernelsBF16)
        let strict = try PrecisionChoice(candidates, asked: .auto, PrecisionRequest(floor: 0.99999), on: cpu, model: "m")
        #expect(strict.form == .kernelsFP32 && strict.floor == 0.99999 && strict.candidates == candidates)
    }

    @Test func `Of forms that are about as fast the preferred one is taken, and one that fails never`() throws {
        let near = [measured(.fusedFP32, 1, 100), measured(.kernelsFP32, 1, 104)]
        #expect(try PrecisionChoice(near, asked: .fp32, PrecisionRequest(.fp32), on: cpu, model: "m").form == .fusedFP32)
        let failing = [PrecisionChoice.Candidate(.fusedFP32, .failed("no")), measured(.kernelsFP32, 1, 1)]
        #expect(try PrecisionChoice(failing, asked: .auto, PrecisionRequest(), on: cpu, model: "m").form == .kernelsFP32)
    }

    @Test(arguments: [(Precision.int8, NetworkForm.kernelsInt8, 0.98999), (.int4, .fusedInt4, 0.94999), (.bf16, .kernelsBF16, 0.99989)])
    func `A precision below its own floor is refused with the figure`(precision: Precision, form: NetworkForm, cosine: Double) throws {
        let candidates = [measured(form, cosine, 100)]
        #expect { try PrecisionChoice(candidates, asked: precision, PrecisionRequest(precision), on: cpu, model: "m") } throws: { error in
            let error = error as? ApusError
            return error?.code == .unsupportedPrecision && error?.message.contains("\(cosine)") == true
        }
        #expect(try PrecisionChoice(candidates, asked: precision, PrecisionRequest(precision, floor: cosine), on: cpu, model: "m").form == form)
    }

    @Test func `A device on which nothing runs says so instead of blaming a precision`() {
        let candidates: [PrecisionChoice.Candidate] = [.init(.fusedFP32, .failed("lost")), .init(.kernelsBF16, .failed("lost"))]
        #expect { try PrecisionChoice(candidates, asked: .auto, PrecisionRequest(), on: cpu, model: "m") } throws: {
            ($0 as? ApusError)?.code == .engineFailure
        }
    }

    @Test func `Accelerators take their own precision where one is named`() {
        let request = PrecisionRequest(.int8, accelerators: .fp16)
        #expect(request.precision(on: .cuda) == .fp16 && request.precision(on: .cpu) == .int8)
        #expect(PrecisionRequest(.int8).precision(on: .cuda) == .int8)
        #expect(request.floor(of: .int8) == 0.99 && PrecisionRequest(floor: 0.9).floor(of: .int8) == 0.9)
    }

    @Test(arguments: [1.5, -0.1, .nan, .infinity])
    func `A floor that is no cosine is refused`(floor: Double) {
        #expect { try PrecisionRequest(.auto, checkedFloor: floor) } throws: { ($0 as? ApusError)?.code == .invalidValue }
    }

    @Test func `What was measured comes back from the disk, for the same model and machine only`() throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString).path
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let store = PrecisionStore(directory: folder)
        let key = PrecisionStore.Key(weights: "w", files: "f", device: "cpu Test x2", driver: "", engine: "e", features: "avx2")
        let first = [measured(.fusedFP32, 1, 100), PrecisionChoice.Candidate(.kernelsBF16, .failed("no such operator"))]
        store.store(first, key)
        store.store([measured(.kernelsInt8, 0.995, 300)], key)
        let known = store.candidates(key)
        #expect(known.count == 3 && known[.fusedFP32] == first[0] && known[.kernelsBF16] == first[1])
        var other = key
        other.features = "avx512"
        #expect(store.candidates(other).isEmpty)
        let file = try #require(try FileManager.default.contentsOfDirectory(atPath: folder).first)
        for damage in ["", "{", "{\"version\": 1}", "{\"version\": 99}", String(repeating: "[", count: 1 << 10)] {
            try Data(damage.utf8).write(to: URL(fileURLWithPath: "\(folder)/\(file)"))
            #expect(store.candidates(key).isEmpty)
        }
    }

    @Test func `Names and instructions follow the feature word`() {
        #expect(Self.wide.names == ["avx2", "avx512", "avx512-vnni", "avx512-bf16"])
        #expect(Self.wide.instructions(for: .bf16) == "avx512-bf16" && Self.wide.instructions(for: .int8) == "avx512-vnni")
        #expect(CPUFeatures.avx2.instructions(for: .int8) == "avx2" && !CPUFeatures.avx2.computes(.bf16))
        #expect(CPUFeatures().instructions(for: .fp32) == nil && CPUFeatures().computes(.fp32) && !CPUFeatures().computes(.int8))
        #expect(CosineText.of(0.999996) == "0.99999" && CosineText.of(1) == "1.00000")
    }
}
