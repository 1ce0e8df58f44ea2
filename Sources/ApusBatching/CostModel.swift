/// What a batch costs on one device: `seconds = a + b tokens + c sum(length^2) + d padding`, fitted on line.
///
/// Recursive least squares in information form, on relative errors, since the noise of a run is a part of its length. Forgetting is
/// directional (L. Cao, H. Schwartz, "A directional forgetting algorithm based on the decomposition of the information matrix",
/// Automatica 36, 2000): a batch makes the model forget only what a batch of its kind can teach again, so that a thousand full batches do not
/// erase what the few small ones said about the fixed cost. No coefficient is negative: of the non-negative models the
/// one nearest to the fit, in the metric of what is known, is the answer.
///
/// Written by hand: four unknowns need no linear algebra package, and there is none for Swift on Linux.
package struct CostModel: Sendable, Equatable {
    /// Weight of an old batch, per batch of its kind since.
    private static let memory = 0.98
    /// Observations after which an estimate is worth refusing work for.
    package static let trustedObservations = 20
    /// A run that took this many times its prediction counts as that, and less the further off it is.
    private static let clip = 4.0
    /// Relative errors beyond this count linearly and no longer squared (Huber).
    private static let plainError = 0.5
    /// Units of the features, so that all are of about one size.
    private static let units = SIMD4<Double>(1, 100, 10_000, 100)

    /// Batches seen.
    package private(set) var observations = 0
    /// Mean of `|predicted - measured| / measured` over the last twenty or so batches; nil before the fifth.
    package private(set) var predictionError: Double?
    /// The best fit, of any sign.
    private var fit = SIMD4<Double>.zero
    private var information = SymmetricMatrix4()
    /// The non-negative model, in seconds per unit.
    private var coefficients = SIMD4<Double>.zero

    package init() {}

    /// Seconds that any batch costs, however small.
    package var fixed: Double { coefficients[0] }
    package var perToken: Double { coefficients[1] / Self.units[1] }
    package var perSquare: Double { coefficients[2] / Self.units[2] }
    package var perPadding: Double { coefficients[3] / Self.units[3] }
    package var isTrusted: Bool { observations >= Self.trustedObservations }

    /// The predicted seconds of a batch; 0 before the first observation.
    package func seconds(_ shape: BatchShape) -> Double {
        (coefficients * Self.features(shape)).sum()
    }

    /// A batch of `shape` took `seconds`. What is not a positive time of a batch with sequences is ignored.
    package mutating func observe(_ shape: BatchShape, seconds: Double) {
        guard seconds.isFinite, seconds > 0, shape.count > 0 else { return }
        let features = Self.features(shape)
        guard observations > 0 else { return begin(features, seconds) }
        let predicted = max(self.seconds(shape), seconds * 1e-3)
        if observations >= 4 {
            let error = min(abs(predicted - seconds) / seconds, 10)
            predictionError = predictionError.map { $0 * 0.95 + error * 0.05 } ?? error
        }
        observations += 1
        // Early predictions are too poor to tell an outlier by them.
        let isEarly = observations <= 8
        let measured = isEarly ? seconds : min(max(seconds, predicted / Self.clip), predicted * Self.clip)
        let deviation = abs(measured - predicted) / predicted
        let weight = isEarly ? 1 : min(1, Self.plainError / max(deviation, 1e-9))
        let scale = weight.squareRoot() / (isEarly ? measured : predicted)
        learn(features * scale, measured * scale)
        coefficients = information.nonNegative(nearestTo: fit) ?? coefficients
    }

    private mutating func begin(_ features: SIMD4<Double>, _ seconds: Double) {
        observations = 1
        // Nothing tells the fixed cost from that of a token yet: seconds per token is the cautious reading.
        fit = features[1] > 0 ? SIMD4(0, seconds / features[1], 0, 0) : SIMD4(seconds, 0, 0, 0)
        coefficients = fit
        information = SymmetricMatrix4(diagonal: 1e-4 / (seconds * seconds))
    }

    private mutating func learn(_ features: SIMD4<Double>, _ measured: Double) {
        let known = information.times(features)
        let certainty = (known * features).sum()
        if certainty > 1e-12 { information.add(known, -(1 - Self.memory) / certainty) }
        information.add(features, 1)
        if let gain = information.solve(features) { fit += gain * (measured - (features * fit).sum()) }
    }

    private static func features(_ shape: BatchShape) -> SIMD4<Double> {
        SIMD4(1, Double(shape.tokens), shape.squares, Double(shape.padding)) / units
    }
}
