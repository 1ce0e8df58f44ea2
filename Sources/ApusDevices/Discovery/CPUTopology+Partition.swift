/// The cores of one logical CPU device.
package struct CoreSet: Sendable, Equatable {
    /// Where its threads may run, by the kernel's numbers, in ascending order.
    package var cores: [Int]
    /// How many threads it should compute with; 1 or more.
    package var width: Int
    /// Whether it competes with another set for compute time: for the same cores, or for a bandwidth limit with less than one core a set.
    /// Waiting between such devices must not spin.
    package var isShared: Bool

    package init(cores: [Int], width: Int, isShared: Bool) {
        self.cores = cores
        self.width = width
        self.isShared = isShared
    }
}

extension CPUTopology {
    /// Cuts the cores into `count` sets of sizes as equal as possible, for as many logical CPU devices.
    ///
    /// Sets are disjoint while there are enough cores, and keep the logical cores of one physical core together while there are enough
    /// physical ones. When there are more sets than ``available`` cores they share them, and say so.
    ///
    /// - Parameter count: 1 or more; smaller numbers count as 1.
    package func partition(into count: Int) -> [CoreSet] {
        let count = max(1, count)
        guard count <= cores.count else {
            return (0..<count).map { CoreSet(cores: [cores[$0 % cores.count].number], width: 1, isShared: true) }
        }
        let units = physicalCoreCount >= count ? physicalCores : cores.map { [$0.number] }
        return (0..<count).map { place in
            let chunk = units[Self.slice(place, of: count, in: units.count)].joined().sorted()
            let share = Self.slice(place, of: count, in: available).count
            return CoreSet(cores: chunk, width: max(1, min(share, chunk.count)), isShared: count > available)
        }
    }

    /// The logical cores of each physical core, in the order of their lowest numbers.
    private var physicalCores: [[Int]] {
        Dictionary(grouping: cores, by: \.sibling).values.map { $0.map(\.number) }.sorted { $0[0] < $1[0] }
    }

    /// The `place`-th of `count` consecutive slices of `total` things; sizes differ by at most 1, larger ones come first.
    private static func slice(_ place: Int, of count: Int, in total: Int) -> Range<Int> {
        let (size, larger) = total.quotientAndRemainder(dividingBy: count)
        let start = place * size + min(place, larger)
        return start..<(start + size + (place < larger ? 1 : 0))
    }
}
