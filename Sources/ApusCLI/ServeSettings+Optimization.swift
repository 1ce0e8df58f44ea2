import ApusConfiguration
import ApusExecution

extension Configuration.GraphOptimization {
    /// The same choice as executors take it.
    var level: LoadRequest.Optimization {
        switch self {
        case .none: .none
        case .basic: .basic
        case .extended: .extended
        case .all: .all
        }
    }
}
