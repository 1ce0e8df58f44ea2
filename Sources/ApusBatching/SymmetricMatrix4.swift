/// A symmetric, positive definite matrix of four rows: the information that least squares of four unknowns collect.
struct SymmetricMatrix4: Sendable, Equatable {
    private var rows: [SIMD4<Double>]

    init(diagonal: Double = 0) {
        rows = (0..<4).map { place in
            var row = SIMD4<Double>.zero
            row[place] = diagonal
            return row
        }
    }

    func times(_ vector: SIMD4<Double>) -> SIMD4<Double> {
        SIMD4((rows[0] * vector).sum(), (rows[1] * vector).sum(), (rows[2] * vector).sum(), (rows[3] * vector).sum())
    }

    /// Adds `factor` times the outer product of `vector` with itself.
    mutating func add(_ vector: SIMD4<Double>, _ factor: Double) {
        for place in 0..<4 { rows[place] += vector * (vector[place] * factor) }
    }

    /// The vector that this matrix turns into `right`; nil when rounding has taken the matrix out of the positive definite.
    func solve(_ right: SIMD4<Double>) -> SIMD4<Double>? {
        var rows = rows
        var right = right
        for pivot in 0..<4 {
            guard rows[pivot][pivot] > 0 else { return nil }
            for row in (pivot + 1)..<4 where pivot < 3 {
                let factor = rows[row][pivot] / rows[pivot][pivot]
                rows[row] -= rows[pivot] * factor
                right[row] -= right[pivot] * factor
            }
        }
        var solution = SIMD4<Double>.zero
        for row in (0..<4).reversed() {
            solution[row] = (right[row] - (rows[row] * solution).sum()) / rows[row][row]
            guard solution[row].isFinite else { return nil }
        }
        return solution
    }

    /// The vector without negative elements that is nearest to `vector` in the metric of this matrix.
    ///
    /// At most sixteen sets of elements can be those above 0, and for each of them the best values solve a linear system: the best of the
    /// sets whose values are not negative is exact, where an iteration would only be near.
    func nonNegative(nearestTo vector: SIMD4<Double>) -> SIMD4<Double>? {
        if vector.min() >= 0 { return vector }
        let right = times(vector)
        var best: (value: Double, vector: SIMD4<Double>)?
        for set in 0..<16 {
            let isFree = (0..<4).map { set & (1 << $0) != 0 }
            guard let candidate = restricted(isFree).solve(Self.masked(right, isFree)), candidate.min() >= 0 else { continue }
            // The squared distance is a constant less this.
            let value = (candidate * right).sum()
            if value > best?.value ?? -.infinity { best = (value, candidate) }
        }
        return best?.vector
    }

    private func restricted(_ isFree: [Bool]) -> Self {
        var matrix = self
        for row in 0..<4 {
            matrix.rows[row] = isFree[row] ? Self.masked(rows[row], isFree) : .zero
            if !isFree[row] { matrix.rows[row][row] = 1 }
        }
        return matrix
    }

    private static func masked(_ vector: SIMD4<Double>, _ isFree: [Bool]) -> SIMD4<Double> {
        var vector = vector
        for place in 0..<4 where !isFree[place] { vector[place] = 0 }
        return vector
    }
}
