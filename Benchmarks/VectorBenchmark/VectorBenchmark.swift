import ApusErrors
import ApusTensor
import ApusVectors
import Foundation

/// Measures vector search and the embedding cache. Reads a command a line, answers each with one JSON object a line, so that whoever
/// drives it can take turns with other programs.
///
///     VectorBenchmark --vectors FILE --queries FILE --dimensions N --storage fp32|fp16|bf16|int8 [--threads N] [--oversampling N]
///
/// Files hold fp32 rows one after the other. Commands: `search COUNT K` (the first COUNT queries at once: seconds), `hits COUNT K` (rows),
/// `read` (bytes per second that all threads read together), `cache COUNT` (seconds a hit).
@main
struct VectorBenchmark {
    static func main() async {
        do {
            let options = try Options(Array(CommandLine.arguments.dropFirst()))
            let benchmark = try SearchBenchmark(options)
            report("{\"rows\":\(benchmark.rows),\"bytes\":\(benchmark.bytes)}")
            while let line = readLine() { report(try await benchmark.answer(line)) }
        } catch {
            FileHandle.standardError.write(Data("VectorBenchmark: \(error)\n".utf8))
            exit(1)
        }
    }

    private static func report(_ line: String) {
        FileHandle.standardOutput.write(Data((line + "\n").utf8))
    }
}

struct Options {
    var vectors = ""
    var queries = ""
    var dimensions = 384
    var storage = VectorStorage.fp32
    var threads = ProcessInfo.processInfo.activeProcessorCount
    var oversampling = 4

    init(_ arguments: [String]) throws {
        var rest = arguments[...]
        while let name = rest.popFirst() {
            guard let value = rest.popFirst() else { throw Options.wrong(name) }
            switch (name, Int(value)) {
            case ("--vectors", _): vectors = value
            case ("--queries", _): queries = value
            case ("--dimensions", let number?): dimensions = number
            case ("--threads", let number?): threads = number
            case ("--oversampling", let number?): oversampling = number
            case ("--storage", _):
                guard let storage = VectorStorage(rawValue: value) else { throw Options.wrong(name) }
                self.storage = storage
            default: throw Options.wrong(name)
            }
        }
    }

    private static func wrong(_ name: String) -> ApusError { ApusError(.invalidValue, "no such option or no such value", place: name) }
}

struct SearchBenchmark {
    private let stored: VectorSet
    private let search: CPUVectorSearch
    private let queries: VectorRows
    private let threads: Int
    let bytes: Int

    var rows: Int { stored.snapshot().rowCount }

    init(_ options: Options) throws {
        let format = try VectorFormat(dimensions: options.dimensions, storage: options.storage)
        stored = try VectorSet(format)
        search = try CPUVectorSearch(threads: options.threads, oversampling: options.oversampling)
        queries = try VectorRows(Self.floats(Data(contentsOf: URL(fileURLWithPath: options.queries))), dimensions: options.dimensions)
        threads = options.threads
        let file = try FileHandle(forReadingFrom: URL(fileURLWithPath: options.vectors))
        while let part = try file.read(upToCount: 4096 * options.dimensions * 4), !part.isEmpty {
            _ = try stored.append(VectorRows(Self.floats(part), dimensions: options.dimensions))
        }
        bytes = stored.snapshot().rowCount * format.bytesPerRow
    }

    func answer(_ line: String) async throws -> String {
        let words = line.split(separator: " ")
        let numbers = words.dropFirst().compactMap { Int($0) }
        switch (words.first, numbers.count) {
        case ("search", 2):
            let query = try query(numbers)
            let started = ContinuousClock.now
            _ = try await search.search(query, in: stored.snapshot())
            return "{\"seconds\":\(started.duration(to: .now) / .seconds(1))}"
        case ("hits", 2):
            let hits = try await search.search(query(numbers), in: stored.snapshot())
            return "{\"rows\":[\(hits.map { "[\($0.map { "\($0.row)" }.joined(separator: ","))]" }.joined(separator: ","))]}"
        case ("read", 0):
            return "{\"bytes_per_second\":\(MemoryRead(threads: threads).bytesPerSecond())}"
        case ("cache", 1):
            return "{\"seconds\":\(Self.cacheHit(numbers[0], queries))}"
        default:
            throw ApusError(.invalidValue, "no such command", place: line)
        }
    }

    private func query(_ numbers: [Int]) throws -> VectorQuery {
        let values = Array(queries.values.prefix(numbers[0] * queries.dimensions))
        return VectorQuery(try VectorRows(values, dimensions: queries.dimensions), k: numbers[1], metric: .dot)
    }

    private static func floats(_ data: Data) -> [Float] {
        data.withUnsafeBytes { bytes in
            [Float](unsafeUninitializedCapacity: bytes.count / 4) { buffer, count in
                UnsafeMutableRawBufferPointer(buffer).copyBytes(from: bytes.prefix(bytes.count / 4 * 4))
                count = bytes.count / 4
            }
        }
    }

    /// Seconds a hit takes, key and vector included, in a full cache.
    private static func cacheHit(_ count: Int, _ queries: VectorRows) -> Double {
        let cache = EmbeddingCache()
        let scope = EmbeddingScope(model: "model", weights: "weights", files: "f", precision: .fp32, truncation: "right:256")
        let vector = queries.values.prefix(queries.dimensions)
        for text in 0..<100_000 {
            cache.store(
                CachedEmbedding(vector: vector, tokens: 12, originalTokens: 12, device: DeviceID(.cpu, 0)),
                for: scope.key(text: "a text of usual length, number \(text)"))
        }
        let texts = (0..<count).map { "a text of usual length, number \($0 &* 7919 % 100_000)" }
        var sum: Float = 0
        let started = ContinuousClock.now
        for text in texts { sum += cache.value(for: scope.key(text: text))?.vector[0] ?? .nan }
        let seconds = started.duration(to: .now) / .seconds(1)
        return sum.isNaN ? .nan : seconds / Double(count)
    }
}

/// How fast all threads together read memory that no cache holds.
final class MemoryRead: @unchecked Sendable {
    // Each thread writes its own sum.
    private let memory: UnsafeMutableBufferPointer<SIMD8<UInt64>>
    private let threads: Int
    private let sums: UnsafeMutableBufferPointer<UInt64>

    init(threads: Int) {
        self.threads = threads
        memory = .allocate(capacity: (512 << 20) / 64)
        memory.initialize(repeating: SIMD8(repeating: 1))
        sums = .allocate(capacity: threads)
        sums.initialize(repeating: 0)
    }

    deinit {
        memory.deallocate()
        sums.deallocate()
    }

    /// The best of five passes.
    func bytesPerSecond() -> Double {
        var best = 0.0
        for _ in 0..<5 {
            let started = ContinuousClock.now
            DispatchQueue.concurrentPerform(iterations: threads) { thread in
                let part = memory.count / threads
                var (first, second) = (SIMD8<UInt64>(), SIMD8<UInt64>())
                for index in stride(from: thread * part, to: (thread + 1) * part - 1, by: 2) {
                    first &+= memory[index]
                    second &+= memory[index + 1]
                }
                sums[thread] &+= (first &+ second).wrappedSum()
            }
            best = max(best, Double(memory.count * 64) / (started.duration(to: .now) / .seconds(1)))
        }
        return sums.contains(0) ? 0 : best
    }
}
