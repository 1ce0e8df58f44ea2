import ApusBatching
import ApusErrors

/// How what is asked of a model at the same moment becomes batches. Each is the same scheduler, configured.
public struct Batching: Sendable, Equatable {
    private enum Kind: Sendable, Equatable {
        case dynamic(maxWait: Duration)
        case adaptive(targetLatency: Duration)
        case priority(high: Double, medium: Double, low: Double)
    }

    private let kind: Kind
    private let maxBatchSize: Int

    /// Batches form from what waits, and an idle device starts at once.
    ///
    /// - Parameters:
    ///   - maxWait: the longest that an input waits for company while a device is free, 0 to a day.
    ///   - maxBatchSize: inputs of a batch, 1 or more.
    public static func dynamic(maxWait: Duration = .milliseconds(10), maxBatchSize: Int = 64) -> Batching {
        Batching(kind: .dynamic(maxWait: maxWait), maxBatchSize: maxBatchSize)
    }

    /// Batches become as large as `targetLatency`, above 0 to a day, allows 95 of 100 answers.
    public static func adaptive(targetLatency: Duration, maxBatchSize: Int = 64) -> Batching {
        Batching(kind: .adaptive(targetLatency: targetLatency), maxBatchSize: maxBatchSize)
    }

    /// Classes of requests get these parts of the computing while all of them have work; what one does not use, the others get. Divided by
    /// their sum.
    public static func priority(high: Double = 0.5, medium: Double = 0.3, low: Double = 0.2, maxBatchSize: Int = 64) -> Batching {
        Batching(kind: .priority(high: high, medium: medium, low: low), maxBatchSize: maxBatchSize)
    }

    /// Throws `invalid_value`, naming the setting that is out of its range.
    func policy() throws(ApusError) -> BatchPolicy {
        switch kind {
        case .dynamic(let maxWait): try .dynamic(maxWait: maxWait, maxBatchSize: maxBatchSize)
        case .adaptive(let targetLatency): try .adaptive(targetLatency: targetLatency, maxBatchSize: maxBatchSize)
        case .priority(let high, let medium, let low): try .priority(high: high, medium: medium, low: low, maxBatchSize: maxBatchSize)
        }
    }
}

/// Whose turn it is when not everybody can have it: see ``Batching/priority(high:medium:low:maxBatchSize:)``.
public enum RequestPriority: Sendable, Equatable, CaseIterable {
    case high, medium, low
}

extension RequestPriority {
    var batching: Priority {
        switch self {
        case .high: .high
        case .medium: .medium
        case .low: .low
        }
    }
}
