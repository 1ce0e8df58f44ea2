import ApusErrors
import ApusVectors

/// What searches see of a collection: the rows of one generation as they were at one moment.
struct PublishedRows: Sendable {
    let file: VectorFile
    let snapshot: VectorSnapshot
    let numbers: RowNumbers

    var generation: Int64 { file.generation }
}

/// The rows of one generation as their one writer extends them. Nobody sees what was not published.
struct GrowingRows {
    let file: VectorFile
    private(set) var numbers: RowNumbers
    private let set: VectorSet
    /// Blocks of the file that the set has, and how many rows the last of them has room for yet.
    private var adopted = 0
    private var room = 0
    private(set) var count = 0

    /// The first `count` rows of the file.
    init(_ file: VectorFile, _ numbers: RowNumbers, count: Int) throws(ApusError) {
        (self.file, self.numbers) = (file, numbers)
        set = try VectorSet(file.format)
        for block in file.blocks where self.count < count {
            let rows = min(block.capacity, count - self.count)
            _ = try set.adopt(block, count: rows)
            adopted += 1
            self.count += rows
            room = block.capacity - rows
        }
    }

    /// The rows that were published last, without what came after.
    init(restoring published: PublishedRows) throws(ApusError) {
        let snapshot = published.snapshot
        try self.init(published.file, published.numbers, count: snapshot.rowCount)
        set.delete((0..<snapshot.rowCount).lazy.filter { !snapshot.isLive($0) })
    }

    var published: PublishedRows { PublishedRows(file: file, snapshot: set.snapshot(), numbers: numbers) }

    func isLive(_ row: Int) -> Bool { set.snapshot().isLive(row) }

    /// Writes vectors behind the last row and returns their checksums. Throws `store_unavailable` where there is no room for them.
    mutating func append(_ vectors: VectorRows) throws(ApusError) -> [UInt32] {
        var checksums: [UInt32] = []
        checksums.reserveCapacity(vectors.count)
        var next = 0
        while next < vectors.count {
            if room == 0 { try adoptNext() }
            let part = min(room, vectors.count - next)
            let block = file.blocks[adopted - 1]
            let first = block.capacity - room
            let values = vectors.values[next * vectors.dimensions..<(next + part) * vectors.dimensions]
            _ = try set.append(VectorRows(Array(values), dimensions: vectors.dimensions))
            for row in first..<first + part { checksums.append(VectorFile.checksum(of: row, in: block)) }
            room -= part
            count += part
            next += part
        }
        return checksums
    }

    /// Searches that begin from the next publication on do not find these rows.
    func delete(_ rows: [Int]) {
        set.delete(rows)
    }

    mutating func number(_ numbers: RowNumbers) {
        self.numbers = numbers
    }

    private mutating func adoptNext() throws(ApusError) {
        let blocks = file.blocks
        let block = adopted < blocks.count ? blocks[adopted] : try file.grow()
        _ = try set.adopt(block, count: 0)
        adopted += 1
        room = block.capacity
    }
}
