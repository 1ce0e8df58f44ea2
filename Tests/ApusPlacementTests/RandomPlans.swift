import ApusErrors
import ApusPlacement
import ApusTensor

/// Random numbers that are the same in every run (SplitMix64, Steele et al. 2014).
struct SeededNumbers: RandomNumberGenerator {
    private var state: UInt64

    init(_ seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}

extension NetworkOutline {
    /// The sizes of all-MiniLM-L6-v2 in fp32, by hand from its config.json: 30,522 + 512 + 2 rows of 384, six layers.
    static func miniLM(layers: Int = 6) throws -> NetworkOutline {
        let (hidden, columns) = (384, 1536)
        let sharded = 4 * (4 * hidden * hidden + 2 * hidden * columns + 3 * hidden + columns)
        let replicated = 4 * (2 * hidden + 4 * hidden)
        return try NetworkOutline(
            name: "MiniLM",
            layers: Array(
                repeating: Layer(shardedBytes: sharded, replicatedBytes: replicated, cost: Double(2 * (4 * hidden * hidden + 2 * hidden * columns))),
                count: layers),
            embedding: Part(bytes: 4 * hidden * (30_522 + 512 + 2 + 2)), widths: Widths(heads: 12, feedForward: columns, hidden: hidden))
    }

    /// A model of random layers; `isEven` for layers of the same weight and cost.
    static func random(_ numbers: inout SeededNumbers) throws -> NetworkOutline {
        let isEven = Bool.random(using: &numbers)
        let layer = Layer(shardedBytes: 4_000, replicatedBytes: 40, cost: 10)
        let layers = (0..<Int.random(in: 1...14, using: &numbers)).map { _ in
            isEven
                ? layer
                : Layer(
                    shardedBytes: Int.random(in: 0...9_000, using: &numbers), replicatedBytes: Int.random(in: 0...90, using: &numbers),
                    cost: Double(Int.random(in: 1...100, using: &numbers)))
        }
        let isWhole = Int.random(in: 0..<8, using: &numbers) == 0
        let heads = [1, 2, 4, 6, 8, 12, 16].randomElement(using: &numbers) ?? 12
        return try NetworkOutline(
            name: "random", layers: layers,
            embedding: Part(bytes: Int.random(in: 0...20_000, using: &numbers), cost: Double(Int.random(in: 0...20, using: &numbers))),
            head: Part(bytes: Int.random(in: 0...2_000, using: &numbers), cost: Double(Int.random(in: 0...5, using: &numbers))),
            widths: Widths(
                heads: isWhole ? nil : heads, keyValueHeads: Bool.random(using: &numbers) ? nil : max(1, heads / 2),
                feedForward: isWhole ? nil : [96, 128, 1536].randomElement(using: &numbers), hidden: 16 * heads),
            activationBytesPerToken: Int.random(in: 0...16, using: &numbers))
    }
}

extension PlanDevice {
    static func several(_ kind: DeviceID.Kind, _ count: Int, memory: Int? = nil) -> [PlanDevice] {
        (0..<count).map { PlanDevice(DeviceID(kind, $0), memoryLimitBytes: memory) }
    }

    /// 2 to 8 devices, half of the time all alike.
    static func random(_ numbers: inout SeededNumbers, for model: NetworkOutline) -> [PlanDevice] {
        let count = Int.random(in: 2...8, using: &numbers)
        let whole = model.weightBytes + 4_000
        let areAlike = Bool.random(using: &numbers)
        let memory = Int.random(in: whole / 8...whole * 2, using: &numbers)
        return (0..<count).map { index in
            PlanDevice(
                DeviceID(.cuda, index),
                memoryLimitBytes: areAlike ? memory : Int.random(in: whole / 8...whole * 2, using: &numbers),
                speed: areAlike ? 1 : Double(Int.random(in: 1...4, using: &numbers)))
        }
    }
}

extension ParallelWishes {
    static func random(_ numbers: inout SeededNumbers) -> ParallelWishes {
        var wishes = ParallelWishes()
        wishes.strategy = Strategy.allCases.randomElement(using: &numbers) ?? .automatic
        func size() -> Int? { Bool.random(using: &numbers) ? nil : Int.random(in: 1...6, using: &numbers) }
        wishes.tensorParallel = size()
        wishes.pipelineParallel = size()
        wishes.replicas = Int.random(in: 0..<3, using: &numbers) == 0 ? size() : nil
        return wishes
    }
}

extension DeviceTopology {
    static func random(_ numbers: inout SeededNumbers, _ devices: [PlanDevice]) -> DeviceTopology {
        var topology = DeviceTopology()
        for (place, device) in devices.enumerated() {
            for other in devices.dropFirst(place + 1) {
                topology[device.id, other.id] = Link.allCases.randomElement(using: &numbers) ?? .host
            }
        }
        return topology
    }
}
