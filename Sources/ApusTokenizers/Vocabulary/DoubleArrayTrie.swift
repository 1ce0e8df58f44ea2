/// A trie over bytes in a double array: one memory access for each byte of a walk.
///
/// Own code: no Swift package in reach offers one, and the vocabularies of three models are walked through it.
struct DoubleArrayTrie: Sendable {
    fileprivate struct Unit {
        /// Children of the node lie at `base + byte`.
        var base: Int32 = 0
        /// The parent, or -1 for a free slot.
        var parent: Int32 = -1
        /// The value of the key that ends here, or -1.
        var value: Int32 = -1
    }

    /// A place in the trie.
    struct Node: Sendable {
        fileprivate(set) var index: Int32
    }

    private var units: [Unit]
    /// The longest key, in bytes, that a file may bring: walking from every position of a text then takes linear time.
    static let keyLengthLimit = 1_024
    static let root = Node(index: 0)

    /// - Parameter keys: non-empty byte strings with values of at least 0. Of equal keys the last one counts.
    init(_ keys: [(bytes: ArraySlice<UInt8>, value: Int32)]) {
        units = [Unit(base: 1, parent: 0, value: -1)]
        var sorted = Array(keys.enumerated())
        sorted.sort { left, right in
            Self.compare(left.element.bytes, right.element.bytes) ?? (left.offset < right.offset)
        }
        var builder = Builder(units: units, keys: sorted.map(\.element))
        builder.build()
        units = builder.units
    }

    /// Whether `left` sorts before `right`; nil when they are equal.
    private static func compare(_ left: ArraySlice<UInt8>, _ right: ArraySlice<UInt8>) -> Bool? {
        left.withUnsafeBufferPointer { left in
            right.withUnsafeBufferPointer { right in
                let shared = Swift.min(left.count, right.count)
                for index in 0..<shared where left[index] != right[index] { return left[index] < right[index] }
                return left.count == right.count ? nil : left.count < right.count
            }
        }
    }

    var isEmpty: Bool { units.count == 1 }

    /// The node reached from `node` by `bytes`, or nil when no key goes on that way.
    func node(from node: Node = Self.root, _ bytes: some Sequence<UInt8>) -> Node? {
        withWalker { walker in
            var node = node
            for byte in bytes {
                guard walker.step(&node, byte) else { return nil }
            }
            return node
        }
    }

    /// Gives access for many steps.
    @inline(__always)
    func withWalker<Result>(_ body: (Walker) -> Result) -> Result {
        units.withUnsafeBufferPointer { body(Walker(units: $0)) }
    }

    struct Walker {
        fileprivate let units: UnsafeBufferPointer<Unit>

        /// Moves `node` along `byte`; false, and `node` stays, when there is no such child.
        @inline(__always)
        func step(_ node: inout Node, _ byte: UInt8) -> Bool {
            let child = Int(units[Int(node.index)].base) + Int(byte)
            guard child < units.count, units[child].parent == node.index, child != 0 else { return false }
            node.index = Int32(truncatingIfNeeded: child)
            return true
        }

        /// The value of the key that ends at `node`, or -1.
        @inline(__always)
        func value(at node: Node) -> Int32 {
            units[Int(node.index)].value
        }

        /// The length and value of the longest key that starts `text` at `start`; a length of 0 when none does.
        @inline(__always)
        func longestMatch(in text: UTF8Bytes, from start: Int, at origin: Node = DoubleArrayTrie.root)
            -> (length: Int, value: Int32)
        {
            var node = origin
            var best: (length: Int, value: Int32) = (0, -1)
            var index = start
            while index < text.count, step(&node, text[index]) {
                index += 1
                let value = value(at: node)
                if value >= 0 { best = (index - start, value) }
            }
            return best
        }
    }

    /// Places sorted keys, node by node, breadth first.
    private struct Builder {
        var units: [Unit]
        let keys: [(bytes: ArraySlice<UInt8>, value: Int32)]
        /// For a taken slot, one that lies after it and has only taken ones between.
        private var successors: [Int32]
        /// Slots tried for one node before it is put at the end, which bounds the time of building.
        private static let attemptLimit = 48

        init(units: [Unit], keys: [(bytes: ArraySlice<UInt8>, value: Int32)]) {
            self.units = units
            self.keys = keys
            successors = units.indices.map { Int32($0 + 1) }
        }

        mutating func build() {
            var pending: [(node: Int, keys: Range<Int>, depth: Int)] = [(0, keys.indices, 0)]
            var next = 0
            var children: [(byte: UInt8, keys: Range<Int>)] = []
            while next < pending.count {
                let (node, range, depth) = pending[next]
                next += 1
                children.removeAll(keepingCapacity: true)
                var start = range.lowerBound
                while start < range.upperBound, keys[start].bytes.count == depth {
                    units[node].value = keys[start].value
                    start += 1
                }
                while start < range.upperBound {
                    let byte = keys[start].bytes[keys[start].bytes.startIndex + depth]
                    var end = start + 1
                    while end < range.upperBound, keys[end].bytes[keys[end].bytes.startIndex + depth] == byte { end += 1 }
                    children.append((byte, start..<end))
                    start = end
                }
                guard let first = children.first else { continue }
                let base = place(children, first: first.byte)
                units[node].base = Int32(base)
                for child in children {
                    let slot = base + Int(child.byte)
                    units[slot].parent = Int32(node)
                    pending.append((slot, child.keys, depth + 1))
                }
            }
        }

        private mutating func place(_ children: [(byte: UInt8, keys: Range<Int>)], first: UInt8) -> Int {
            var slot = freeSlot(from: Int(first) + 1)
            var attempts = 0
            while slot < units.count, attempts < Self.attemptLimit {
                let base = slot - Int(first)
                let fits = children.allSatisfy {
                    let slot = base + Int($0.byte)
                    return slot >= units.count || units[slot].parent < 0
                }
                if fits { return reserve(base) }
                attempts += 1
                slot = freeSlot(from: slot + 1)
            }
            return reserve(max(units.count, Int(first) + 1) - Int(first))
        }

        /// The first free slot from `start` on, or the count. Paths are halved on the way, so that runs of taken slots
        /// are soon crossed in one step.
        private mutating func freeSlot(from start: Int) -> Int {
            var slot = start
            while slot < units.count, units[slot].parent >= 0 {
                let next = Int(successors[slot])
                if next < units.count { successors[slot] = successors[next] }
                slot = next
            }
            return slot
        }

        private mutating func reserve(_ base: Int) -> Int {
            while units.count < base + 256 {
                units.append(Unit())
                successors.append(Int32(units.count))
            }
            return base
        }
    }
}
