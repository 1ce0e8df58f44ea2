package import ApusErrors
package import ApusExecution
package import ApusTensor
import Foundation

/// The form that a model runs in on a device, chosen by what was measured. Pure.
package struct PrecisionChoice: Sendable, Equatable {
    /// What was measured of one form.
    package struct Figures: Sendable, Equatable {
        /// The lowest to the plain fp32 graph over the built-in sample.
        package var cosine: Double
        /// Of texts of a dozen tokens; nil where the speed was not measured.
        package var shortTokensPerSecond: Double?
        /// Of texts of 128 tokens.
        package var longTokensPerSecond: Double?

        package init(cosine: Double, shortTokensPerSecond: Double? = nil, longTokensPerSecond: Double? = nil) {
            self.cosine = cosine
            self.shortTokensPerSecond = shortTokensPerSecond
            self.longTokensPerSecond = longTokensPerSecond
        }

        /// The geometric mean, by which a form that is twice as fast on one kind and half as fast on the other is no better; 0 where it was not
        /// measured.
        package var tokensPerSecond: Double {
            guard let short = shortTokensPerSecond, let long = longTokensPerSecond, short > 0, long > 0 else { return 0 }
            return (short * long).squareRoot()
        }
    }

    package struct Candidate: Sendable, Equatable {
        package enum Outcome: Sendable, Equatable {
            case measured(Figures)
            /// It cannot run here, for the reason given.
            case failed(String)
        }

        package var form: NetworkForm
        package var outcome: Outcome

        package init(_ form: NetworkForm, _ outcome: Outcome) {
            self.form = form
            self.outcome = outcome
        }

        /// The same, its cosine at most `cosine`.
        func bounded(by cosine: Double) -> Candidate {
            guard var figures else { return self }
            figures.cosine = min(figures.cosine, cosine)
            return Candidate(form, .measured(figures))
        }

        package var figures: Figures? {
            if case .measured(let figures) = outcome { figures } else { nil }
        }
    }

    package let form: NetworkForm
    /// Of ``form``; nil where there was nothing to measure or it could not be.
    package let figures: Figures?
    /// All that were weighed, in the order in which they are preferred.
    package let candidates: [Candidate]
    package let floor: Double
    /// Why this form was taken.
    package let reason: String

    /// A form has to be this much faster than one that is preferred to it: measurements differ by less from one to the next.
    package static let leastGain = 1.05

    /// Takes the fastest candidate at or above the floor; of those that are about as fast, the first.
    ///
    /// - Parameters:
    ///   - candidates: the forms that `precision` may take on `device`, the preferred first.
    ///   - model: for the error.
    ///
    /// Throws `unsupported_precision` with the figures when no candidate reaches the floor, and `engine_failure` when none runs at all although
    /// fp32 is among them, which says more about the device than about precisions.
    package init(
        _ candidates: [Candidate], asked precision: Precision, _ request: PrecisionRequest, on device: DeviceID, model: String
    ) throws(ApusError) {
        let floor = request.floor(of: precision)
        let fit = candidates.filter { ($0.figures?.cosine ?? -1) >= floor }
        let fastest = fit.map { $0.figures?.tokensPerSecond ?? 0 }.max() ?? 0
        guard let taken = fit.first(where: { ($0.figures?.tokensPerSecond ?? 0) * Self.leastGain >= fastest }), let figures = taken.figures else {
            let isBroken = candidates.allSatisfy { $0.figures == nil } && candidates.contains { $0.form.precision == .fp32 }
            let told = candidates.map { "\($0.form) \($0.shortfall)" }.joined(separator: "; ")
            guard !isBroken else { throw ApusError(.engineFailure, "no form of the model runs on \(device): \(told)", place: model) }
            throw ApusError(
                .unsupportedPrecision, "\(precision.rawValue) on \(device) does not reach the cosine to fp32 of \(floor) that is wanted: \(told)",
                place: model, advice: "Choose another precision, or a lower precision_floor")
        }
        form = taken.form
        self.figures = figures
        self.candidates = candidates
        self.floor = floor
        switch (fit.count, candidates.count) {
        case (_, 1): reason = "asked for, and its cosine is at or above \(floor)"
        case (1, _): reason = "the only one with a cosine of \(floor) or more"
        default:
            let isFastest = figures.tokensPerSecond >= fastest
            reason = isFastest
                ? "the fastest with a cosine of \(floor) or more"
                : "none with a cosine of \(floor) or more is faster by \(Int((100 * (Self.leastGain - 1)).rounded())) %"
        }
    }

    /// A form that nothing was measured of.
    package init(unmeasured form: NetworkForm, floor: Double, reason: String) {
        self.form = form
        figures = nil
        candidates = []
        self.floor = floor
        self.reason = reason
    }
}

extension PrecisionChoice.Candidate {
    fileprivate var shortfall: String {
        switch outcome {
        case .measured(let figures): "has \(CosineText.of(figures.cosine))"
        case .failed(let reason): "cannot run: \(reason)"
        }
    }
}

/// Cosines as people are told.
package enum CosineText {
    /// Five digits, rounded down: what is told is reached.
    package static func of(_ cosine: Double) -> String {
        // Digits that fp32 vectors do not have are no shortfall.
        String(format: "%.5f", (cosine * 1e5 + 1e-6).rounded(.down) / 1e5)
    }
}
