import ApusErrors
import ApusVectors
import Foundation
import NIOConcurrencyHelpers

/// The vectors of a damaged file: those that its checksums vouch for.
///
/// A copy of the file is read, with its beginning set right and its end filled with zeros, so that a torn file is a whole one whose last rows do
/// not hold.
struct SalvagedVectors {
    /// What the first bytes of a file say, if their own checksum holds.
    struct Header {
        let dimensions: Int
        let storage: VectorStorage
    }

    /// The row of each number, ascending; empty where rows have to be found by their checksums.
    private let numbers: [Int64]
    /// Rows by checksum, where they have to be found; those of equal checksum and different content are left out.
    private let rows: [UInt32: Int]
    private let file: VectorFile?
    private let snapshot: VectorSnapshot
    /// Rows that are written anew, to see whether their checksums come out.
    private let anew: NIOLockedValueBox<GrowingRows>

    /// The file of the generation, or else the only one there is.
    static func path(in folder: String, generation: Int64?) -> String? {
        if let generation {
            let path = LocalCollection.vectorPath(folder, generation)
            if FileManager.default.fileExists(atPath: path) { return path }
        }
        let names = ((try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []).filter { $0.hasPrefix("vectors-") && $0.hasSuffix(".bin") }
        return names.count == 1 ? "\(folder)/\(names[0])" : nil
    }

    static func header(_ path: String) -> Header? {
        guard let file = FileHandle(forReadingAtPath: path) else { return nil }
        defer { try? file.close() }
        guard let bytes = try? file.read(upToCount: VectorFileHeader.byteCount), bytes.count == VectorFileHeader.byteCount else { return nil }
        let data = [UInt8](bytes)
        func word(_ offset: Int) -> Int { data[offset..<offset + 4].reversed().reduce(0) { $0 << 8 | Int($1) } }
        let generation = data[24..<32].reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        // There are few formats: that whose header these bytes are.
        for storage in VectorStorage.allCases {
            guard let format = try? VectorFormat(dimensions: word(12), storage: storage) else { return nil }
            if VectorFileHeader(format, generation: Int64(bitPattern: generation)).bytes == data {
                return Header(dimensions: word(12), storage: storage)
            }
        }
        return nil
    }

    /// - Parameters:
    ///   - path: the file; nil where there is none.
    ///   - work: a folder for the copy.
    ///   - numbers: of all rows, ascending; nil where not all are known, so that rows have to be found by their checksums.
    init(_ path: String?, work: String, _ format: VectorFormat, numbers: [Int64]?) throws(ApusError) {
        self.numbers = numbers ?? []
        let scratch = "\(work)/vectors-anew.bin"
        anew = NIOLockedValueBox(try GrowingRows(VectorFile(creating: scratch, generation: 1, format), RowNumbers([], next: 1), count: 0))
        unlink(scratch)
        guard let path else {
            (rows, file) = ([:], nil)
            snapshot = try VectorSet(format).snapshot()
            return
        }
        let copy = "\(work)/vectors-damaged.bin"
        let count = try Self.copy(path, to: copy, format, rows: numbers?.count ?? 0)
        let file = try VectorFile(opening: copy, generation: 1, format, rows: count, .readOnly)
        unlink(copy)
        let held = try GrowingRows(file, RowNumbers([], next: 1), count: count).published.snapshot
        (self.file, snapshot) = (file, held)
        guard numbers == nil else {
            rows = [:]
            return
        }
        var rows: [UInt32: Int] = [:]
        for row in 0..<count {
            guard let checksum = Self.checksum(row, file) else { continue }
            guard let other = rows[checksum], other < 0 || held.vector(of: other) != held.vector(of: row) else {
                rows[checksum] = row
                continue
            }
            rows[checksum] = -1
        }
        self.rows = rows
    }

    /// The vector of a document if it is what was written.
    func vector(_ number: Int64, _ checksum: UInt32) -> [Float]? {
        guard let file, let row = numbers.isEmpty ? rows[checksum] : rank(number), row >= 0, row < snapshot.rowCount else { return nil }
        guard let vector = snapshot.vector(of: row) else { return nil }
        return Self.checksum(row, file) == checksum || self.checksum(anew: vector) == checksum ? vector : nil
    }

    /// The checksum that a row of this vector gets: what belongs to a vector and is made of it (its length, its short form) may be damaged alone.
    private func checksum(anew vector: [Float]) -> UInt32? {
        try? anew.withLockedValue { rows in try rows.append(VectorRows(vector, dimensions: vector.count)).first }
    }

    private func rank(_ number: Int64) -> Int? {
        var (low, high) = (0, numbers.count)
        while low < high {
            let middle = (low + high) / 2
            if numbers[middle] < number { low = middle + 1 } else { high = middle }
        }
        return low < numbers.count && numbers[low] == number ? low : nil
    }

    private static func checksum(_ row: Int, _ file: VectorFile) -> UInt32? {
        var row = row
        for block in file.blocks {
            if row < block.capacity { return VectorFile.checksum(of: row, in: block) }
            row -= block.capacity
        }
        return nil
    }

    /// Returns how many rows the copy has room for: as many as the file has and at least `rows`.
    private static func copy(_ path: String, to copy: String, _ format: VectorFormat, rows: Int) throws(ApusError) -> Int {
        do {
            try FileManager.default.copyItem(atPath: path, toPath: copy)
        } catch {
            throw ApusError(.storeUnavailable, "the vectors cannot be copied", place: copy, advice: "Free room on the disk and try again", cause: error)
        }
        let descriptor = open(copy, O_RDWR | O_CLOEXEC)
        guard descriptor >= 0 else { throw StoreFailure.system("the file cannot be opened", errno, copy) }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw StoreFailure.system("the file cannot be read", errno, copy) }
        let layout = BlockLayout(format)
        var (index, end, count) = (0, VectorFile.headerBytes, 0)
        while end < Int(status.st_size) || count < rows {
            end += try layout.bytes(index)
            count += layout.capacity(index)
            index += 1
        }
        let header = VectorFileHeader(format, generation: 1).bytes
        guard ftruncate(descriptor, off_t(end)) == 0, header.withUnsafeBytes({ pwrite(descriptor, $0.baseAddress, $0.count, 0) }) == header.count else {
            throw StoreFailure.system("the file cannot be written", errno, copy)
        }
        return count
    }
}
