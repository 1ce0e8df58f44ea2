extension Duration {
    /// Whole nanoseconds, at most what an `Int` holds.
    var nanoseconds: Int {
        let (seconds, attoseconds) = components
        guard let whole = Int(exactly: seconds) else { return seconds < 0 ? .min : .max }
        return whole.saturatingMultiply(1_000_000_000).saturatingAdd(Int(attoseconds / 1_000_000_000))
    }

    var inSeconds: Double {
        let (seconds, attoseconds) = components
        return Double(seconds) + Double(attoseconds) * 1e-18
    }
}
