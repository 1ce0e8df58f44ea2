import ApusVectors

/// Scores in float64 of what a storage keeps of a vector.
enum Reference {
    static func kept(_ row: [Float], _ storage: VectorStorage) -> [Double] {
        switch storage {
        case .fp32: return row.map(Double.init)
        case .fp16: return row.map { Double(Float16($0)) }
        case .bf16:
            return row.map {
                let bits = $0.bitPattern
                return Double(Float(bitPattern: (bits + 0x7FFF + (bits >> 16 & 1)) & 0xFFFF_0000))
            }
        case .int8: return quantised(row.map(Double.init))
        }
    }

    static func quantised(_ row: [Double]) -> [Double] {
        let scale = (row.map(abs).max() ?? 0) / 127
        return row.map { scale > 0 ? ($0 / scale).rounded(.toNearestOrEven) * scale : 0 }
    }

    static func score(_ query: [Float], _ row: [Float], _ metric: VectorMetric, _ storage: VectorStorage) -> Double {
        var q = query.map(Double.init)
        if metric == .cosine {
            let norm = q.reduce(0) { $0 + $1 * $1 }.squareRoot()
            q = q.map { norm > 0 ? $0 / norm : 0 }
        }
        if storage == .int8 { q = quantised(q) }
        let x = kept(row, storage)
        switch metric {
        case .dot: return zip(q, x).reduce(0) { $0 + $1.0 * $1.1 }
        case .cosine:
            let norm = x.reduce(0) { $0 + $1 * $1 }.squareRoot()
            return norm > 0 ? zip(q, x).reduce(0) { $0 + $1.0 * $1.1 } / norm : 0
        case .l2: return -zip(q, x).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) }
        }
    }

    /// What rounding may do to a score of vectors with elements within ±1. A quantised element that lies half-way may fall to either side:
    /// a step of 1/127, times an element of at most 1, twice for distances.
    static func tolerance(_ dimensions: Int, _ metric: VectorMetric, _ storage: VectorStorage) -> Double {
        let rounding = Double(dimensions) * 2e-7 + 1e-6
        return storage == .int8 ? rounding * 4 + (metric == .l2 ? 4.0 : 1.0) / 127 : rounding * (metric == .l2 ? 4 : 1)
    }
}
