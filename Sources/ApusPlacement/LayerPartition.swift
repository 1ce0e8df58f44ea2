/// Cuts layers into consecutive stages for devices of given speeds and sizes, so that the slowest stage is as fast as can be.
///
/// Exact, by dynamic programming over (devices used, layers done); then, among all cuts for the order of devices found, the one whose list
/// of stage times, the longest first, is lexicographically least. That list is what parts evenly: for equal devices its longest and its
/// shortest time differ by at most one item (Bárány and Grinberg, "Block partitions of sequences", 2013).
struct LayerPartition {
    /// One layer, with what stands before the first or behind the last.
    struct Item {
        /// On a device of speed 1.
        var time: Double
        var bytes: Int
    }

    /// What computes a stage: a device, or several that share its layers.
    struct Place: Hashable {
        var speed: Double
        /// Bytes of layers that it can hold.
        var capacity: Int
    }

    /// A stage of the result.
    struct Cut: Equatable {
        /// Of `places`.
        var place: Int
        var layers: Range<Int>
    }

    private let times: [Double]
    private let bytes: [Int]
    private let places: [Place]

    /// Beyond this number of stages their order is taken as given: the orders of eight are 2^8 states, those of more grow without end.
    private static let mostOrdered = 8

    init(_ items: [Item], places: [Place]) {
        times = items.reduce(into: [0]) { $0.append($0[$0.count - 1] + $1.time) }
        bytes = items.reduce(into: [0]) { $0.append($0[$0.count - 1].addingClamped($1.bytes)) }
        self.places = places
    }

    private var itemCount: Int { times.count - 1 }

    /// Every item in one stage, every place with one stage of one item or more; nil when they do not fit.
    func cuts() -> [Cut]? {
        guard !places.isEmpty, places.count <= itemCount, let (order, slowest) = order() else { return nil }
        return evenest(order, slowest)
    }

    /// The time of `layers` on a place; nil where they do not fit.
    private func time(_ layers: Range<Int>, on place: Int) -> Double? {
        let (start, end) = (bytes[layers.lowerBound], bytes[layers.upperBound])
        // Sums of more bytes than can be counted fit nowhere.
        guard end < .max, end - start <= places[place].capacity else { return nil }
        return (times[layers.upperBound] - times[layers.lowerBound]) / places[place].speed
    }

    /// The order of places whose best cut has the fastest slowest stage, and that stage's time.
    private func order() -> ([Int], Double)? {
        /// The best way to do a number of layers with a set of places: the slowest stage, and the last stage of it.
        struct Way {
            var slowest: Double
            var place: Int
            var start: Int
        }
        let count = places.count
        let all = count <= Self.mostOrdered ? (1 << count) - 1 : 0
        var ways: [[Way?]] = Array(repeating: Array(repeating: nil, count: itemCount + 1), count: count <= Self.mostOrdered ? all + 1 : count + 1)
        ways[0][0] = Way(slowest: 0, place: 0, start: 0)

        func extend(_ state: Int, to next: Int, with place: Int, done: Int, left: Int) {
            for start in 0...itemCount {
                guard let way = ways[state][start], start >= done, itemCount - start >= left else { continue }
                for end in stride(from: start + 1, through: itemCount - left + 1, by: 1) {
                    guard let time = time(start..<end, on: place) else { break }
                    let slowest = max(way.slowest, time)
                    if let known = ways[next][end], known.slowest <= slowest { continue }
                    ways[next][end] = Way(slowest: slowest, place: place, start: start)
                }
            }
        }

        var last = 0
        if count <= Self.mostOrdered {
            for state in 0..<all {
                let used = state.nonzeroBitCount
                for place in 0..<count where state & (1 << place) == 0 {
                    // Of equal places the first is taken first.
                    let isLater = (0..<place).contains { state & (1 << $0) == 0 && places[$0] == places[place] }
                    if !isLater { extend(state, to: state | 1 << place, with: place, done: used, left: count - used) }
                }
            }
            last = all
        } else {
            for place in 0..<count { extend(place, to: place + 1, with: place, done: place, left: count - place) }
            last = count
        }
        guard let slowest = ways[last][itemCount]?.slowest else { return nil }
        var order: [Int] = []
        var (state, end) = (last, itemCount)
        while end > 0 {
            guard let way = ways[state][end] else { return nil }
            order.append(way.place)
            state = count <= Self.mostOrdered ? state & ~(1 << way.place) : state - 1
            end = way.start
        }
        return (order.reversed(), slowest)
    }

    /// The cut with the least list of times, the longest first, among those with no stage slower than `slowest`.
    private func evenest(_ order: [Int], _ slowest: Double) -> [Cut]? {
        struct Way {
            /// Descending.
            var times: [Double]
            var start: Int
        }
        // Sums of the same times in another order may differ in the last digits.
        let bound = slowest * (1 + 1e-9)
        var ways: [[Way?]] = [Array(repeating: nil, count: itemCount + 1)]
        ways[0][0] = Way(times: [], start: 0)
        for (stage, place) in order.enumerated() {
            var next: [Way?] = Array(repeating: nil, count: itemCount + 1)
            let left = order.count - stage - 1
            for start in stage...itemCount {
                guard let way = ways[stage][start] else { continue }
                for end in stride(from: start + 1, through: itemCount - left, by: 1) {
                    guard let time = time(start..<end, on: place), time <= bound else { break }
                    let times = Self.inserting(time, into: way.times)
                    if let known = next[end], !times.lexicographicallyPrecedes(known.times) { continue }
                    next[end] = Way(times: times, start: start)
                }
            }
            ways.append(next)
        }
        var cuts: [Cut] = []
        var end = itemCount
        for (stage, place) in order.enumerated().reversed() {
            guard let way = ways[stage + 1][end] else { return nil }
            cuts.append(Cut(place: place, layers: way.start..<end))
            end = way.start
        }
        return cuts.reversed()
    }

    private static func inserting(_ time: Double, into times: [Double]) -> [Double] {
        var times = times
        times.insert(time, at: times.firstIndex { $0 < time } ?? times.count)
        return times
    }
}
