/// Working memory of byte-pair merging, kept from word to word.
struct BPEScratch {
    /// The symbols of the word, and after merging the result.
    var symbols: [Int32] = []
    private var ranks: [Int32] = []
    private var results: [Int32] = []
    private var heap: [UInt64] = []
    private var previous: [Int32] = []
    private var next: [Int32] = []

    /// Up to this many symbols scanning for the lowest rank is faster than a heap.
    static let scanLimit = 40

    /// Merges in time quadratic in the (few) symbols.
    mutating func mergeByScanning(_ lookup: MergeTable.Lookup) {
        guard symbols.count > 1 else { return }
        ranks.removeAll(keepingCapacity: true)
        results.removeAll(keepingCapacity: true)
        for index in 0..<symbols.count - 1 {
            let merge = lookup.merge(symbols[index], symbols[index + 1])
            ranks.append(merge?.rank ?? .max)
            results.append(merge?.id ?? -1)
        }
        while true {
            var best = -1
            var lowest = Int32.max
            for index in ranks.indices where ranks[index] < lowest {
                lowest = ranks[index]
                best = index
            }
            guard best >= 0 else { return }
            symbols[best] = results[best]
            symbols.remove(at: best + 1)
            ranks.remove(at: best)
            results.remove(at: best)
            for index in [best - 1, best] where index >= 0 && index < ranks.count {
                let merge = lookup.merge(symbols[index], symbols[index + 1])
                ranks[index] = merge?.rank ?? .max
                results[index] = merge?.id ?? -1
            }
        }
    }

    /// Merges in time n log n.
    mutating func mergeByHeap(_ lookup: MergeTable.Lookup) {
        let count = symbols.count
        heap.removeAll(keepingCapacity: true)
        previous = (0..<count).map { Int32($0 - 1) }
        next = (0..<count).map { Int32($0 + 1) }
        next[count - 1] = -1
        for index in 0..<count - 1 {
            if let merge = lookup.merge(symbols[index], symbols[index + 1]) { push(merge.rank, index) }
        }
        while let (rank, position) = pop() {
            // A symbol that is gone, or a pair that has changed since it was queued, has another rank or none.
            guard symbols[position] >= 0, next[position] >= 0 else { continue }
            let right = Int(next[position])
            guard let merge = lookup.merge(symbols[position], symbols[right]), merge.rank == rank else { continue }
            symbols[position] = merge.id
            symbols[right] = -1
            next[position] = next[right]
            if next[right] >= 0 {
                let after = Int(next[right])
                previous[after] = Int32(position)
                if let merge = lookup.merge(symbols[position], symbols[after]) { push(merge.rank, position) }
            }
            if previous[position] >= 0 {
                let before = Int(previous[position])
                if let merge = lookup.merge(symbols[before], symbols[position]) { push(merge.rank, before) }
            }
        }
        symbols.removeAll { $0 < 0 }
    }

    // MARK: A binary heap of rank, then position

    private mutating func push(_ rank: Int32, _ position: Int) {
        heap.append(UInt64(UInt32(bitPattern: rank)) << 32 | UInt64(UInt32(truncatingIfNeeded: position)))
        var child = heap.count - 1
        while child > 0 {
            let parent = (child - 1) / 2
            guard heap[child] < heap[parent] else { return }
            heap.swapAt(child, parent)
            child = parent
        }
    }

    private mutating func pop() -> (rank: Int32, position: Int)? {
        guard let top = heap.first, let last = heap.popLast() else { return nil }
        if !heap.isEmpty {
            heap[0] = last
            var parent = 0
            while true {
                var child = 2 * parent + 1
                guard child < heap.count else { break }
                if child + 1 < heap.count, heap[child + 1] < heap[child] { child += 1 }
                guard heap[child] < heap[parent] else { break }
                heap.swapAt(child, parent)
                parent = child
            }
        }
        return (Int32(bitPattern: UInt32(top >> 32)), Int(top & 0xFFFF_FFFF))
    }
}
