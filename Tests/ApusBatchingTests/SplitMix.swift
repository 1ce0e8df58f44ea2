/// SplitMix64 (Steele, Lea, Flood 2014): a seeded generator, so that a failing seed fails again.
struct SplitMix: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
        return z ^ (z >> 31)
    }

    /// About normal, mean 0 and deviation 1: the sum of twelve uniform numbers.
    mutating func normal() -> Double {
        (0..<12).reduce(-6.0) { sum, _ in sum + Double.random(in: 0..<1, using: &self) }
    }

    /// Token counts like those of a mixed corpus: about log-normal around 40, from 3 to 256.
    mutating func length() -> Int {
        var octaves = 5.3 + 1.2 * normal()
        var length = 1.0
        while octaves > 1 {
            length *= 2
            octaves -= 1
        }
        return min(256, max(3, Int((length * (1 + max(octaves, 0))).rounded())))
    }
}
