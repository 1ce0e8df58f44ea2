import ApusErrors
import ApusStores
import ApusVectors
import Foundation

/// Collections in files, driven from outside: kill_index.py kills it while it writes, indexing.py has it searched while it writes and with filters.
///
///     CollectionBenchmark write FOLDER ROUND [DOCUMENTS]     writes until it is killed, and tells each operation before and after
///     CollectionBenchmark check FOLDER                       tells every document, its vector compared with what was written
///     CollectionBenchmark latency FOLDER ROWS SECONDS        how long searches take, idle and while another thread writes
///     CollectionBenchmark filters FOLDER ROWS FILTER…        how long searches with filters take
@main
struct CollectionBenchmark {
    static func main() async {
        let arguments = Array(CommandLine.arguments.dropFirst())
        do {
            switch (arguments.first, arguments.count) {
            case ("write", 3...4):
                guard let round = Int(arguments[2]), let documents = Int(arguments.count == 4 ? arguments[3] : "10000") else { usage() }
                try await KilledWriter(folder: arguments[1], round: round, documents: documents).run()
            case ("check", 2): try await StoredCheck(folder: arguments[1]).run()
            case ("latency", 4):
                guard let rows = Int(arguments[2]), let seconds = Double(arguments[3]), rows > 0, seconds > 0 else { usage() }
                try await SearchLatency(folder: arguments[1], rows: rows, seconds: seconds).run()
            case ("filters", 4...):
                guard let rows = Int(arguments[2]), rows > 0 else { usage() }
                try await FilteredSearch(folder: arguments[1], rows: rows, filters: Array(arguments[3...])).run()
            default: usage()
            }
        } catch {
            FileHandle.standardError.write(Data("CollectionBenchmark: \(error)\n".utf8))
            exit(1)
        }
    }

    private static func usage() -> Never {
        FileHandle.standardError.write(Data("usage: CollectionBenchmark write FOLDER ROUND [DOCUMENTS] | check FOLDER | latency FOLDER ROWS SECONDS | filters FOLDER ROWS FILTER…\n".utf8))
        exit(2)
    }
}

/// A line on standard output, whole, whatever other threads write.
func say(_ line: String) {
    let bytes = Array((line + "\n").utf8)
    _ = bytes.withUnsafeBytes { write(STDOUT_FILENO, $0.baseAddress, $0.count) }
}

/// The vector that a version of a document has.
enum MadeVector {
    static let dimensions = 96

    static func values(id: String, version: Int, dimensions: Int = dimensions) -> [Float] {
        // FNV-1a, then SplitMix64: the same for the same document everywhere.
        var state: UInt64 = 0xCBF2_9CE4_8422_2325
        for byte in "\(id)@\(version)".utf8 { state = (state ^ UInt64(byte)) &* 0x100_0000_01B3 }
        return (0..<dimensions).map { _ in
            state &+= 0x9E37_79B9_7F4A_7C15
            var mixed = state
            mixed = (mixed ^ mixed >> 30) &* 0xBF58_476D_1CE4_E5B9
            mixed = (mixed ^ mixed >> 27) &* 0x94D0_49BB_1331_11EB
            return Float(Int32(truncatingIfNeeded: (mixed ^ mixed >> 31) >> 32)) / Float(1 << 31)
        }
    }

    static func document(id: String, version: Int) throws(ApusError) -> Document {
        Document(
            id: id, text: "\(version)", metadata: try Metadata(parsing: Array(#"{"version":\#(version),"even":\#(version % 2 == 0)}"#.utf8)),
            vector: values(id: id, version: version))
    }
}
