import ApusPlacement
import ApusTensor

/// One setting of the schema: its name, its type and range, and what it sets.
package struct ConfigurationKey: Sendable {
    /// What a value must be.
    package enum Kind: Sendable {
        case flag
        case integer(ClosedRange<Int>)
        case number(ClosedRange<Double>)
        /// A number of segments in this range, or `auto`.
        case segments(ClosedRange<Int>)
        case text
        case texts
        case choice([String])
        case choices([String])
        case integers(ClosedRange<Int>)
        /// A list of devices, `cuda:0`.
        case devices
        /// A list of split points, `3:cuda:0`.
        case splits
        /// A list of models: each a path or name, or a section of `path` or `name`, `id`, `precision`, `precision_floor`, `segments`,
        /// `offload`, `max_tokens`, `batching` and
        /// `parallel`.
        case models
        /// A list of API keys, each a section.
        case keys
        /// A section of any names, each with an integer.
        case assignments(ClosedRange<Int>)
    }

    /// Why a setting that is accepted does nothing.
    package enum Effect: Sendable {
        case applies
        /// It concerns CUDA devices.
        case needsCUDA
        /// It concerns accelerators of any kind.
        case needsAccelerator
        /// It asks for batches whose size follows a latency, which has to be named.
        case needsTargetLatency
        /// It never does anything here, for the reason given.
        case none(String)
    }

    enum Value {
        case flag(Bool)
        case integer(Int)
        case number(Double)
        case segments(Configuration.Segments)
        case text(String)
        case texts([String])
        case integers([Int])
        case devices([DeviceID])
        case splits([SplitPoint])
        case models([Configuration.Model])
        case keys([Configuration.Auth.Key])
        case assignments([String: Int])
    }

    /// `server.port`; nil for settings that only the environment has.
    package let path: String?
    /// The variables that set it.
    package let variables: [String]
    package let kind: Kind
    package let effect: Effect
    /// One line for the documentation.
    package let summary: String
    let apply: @Sendable (inout Configuration, Value) -> Void

    /// How the key is called where it has no path.
    package var name: String { path ?? variables.first ?? "" }

    private init(
        _ path: String?, _ variables: [String], _ kind: Kind, _ effect: Effect, _ summary: String,
        _ apply: @escaping @Sendable (inout Configuration, Value) -> Void
    ) {
        self.path = path
        self.variables = variables
        self.kind = kind
        self.effect = effect
        self.summary = summary
        self.apply = apply
    }

    static func flag(
        _ path: String, _ variables: String..., effect: Effect = .applies, does summary: String,
        _ set: @escaping @Sendable (inout Configuration, Bool) -> Void
    ) -> Self {
        Self(path, variables, .flag, effect, summary) { if case .flag(let value) = $1 { set(&$0, value) } }
    }

    static func integer(
        _ path: String, _ range: ClosedRange<Int>, _ variables: String..., effect: Effect = .applies, does summary: String,
        _ set: @escaping @Sendable (inout Configuration, Int) -> Void
    ) -> Self {
        Self(path, variables, .integer(range), effect, summary) { if case .integer(let value) = $1 { set(&$0, value) } }
    }

    static func number(
        _ path: String, _ range: ClosedRange<Double>, _ variables: String..., effect: Effect = .applies, does summary: String,
        _ set: @escaping @Sendable (inout Configuration, Double) -> Void
    ) -> Self {
        Self(path, variables, .number(range), effect, summary) { if case .number(let value) = $1 { set(&$0, value) } }
    }

    static func segments(
        _ path: String, _ range: ClosedRange<Int>, _ variables: String..., does summary: String,
        _ set: @escaping @Sendable (inout Configuration, Configuration.Segments) -> Void
    ) -> Self {
        Self(path, variables, .segments(range), .applies, summary) { if case .segments(let value) = $1 { set(&$0, value) } }
    }

    static func text(
        _ path: String, _ variables: String..., does summary: String, _ set: @escaping @Sendable (inout Configuration, String) -> Void
    ) -> Self {
        Self(path, variables, .text, .applies, summary) { if case .text(let value) = $1 { set(&$0, value) } }
    }

    static func texts(
        _ path: String, _ variables: String..., does summary: String, _ set: @escaping @Sendable (inout Configuration, [String]) -> Void
    ) -> Self {
        Self(path, variables, .texts, .applies, summary) { if case .texts(let value) = $1 { set(&$0, value) } }
    }

    static func choice(
        _ path: String, of names: [String], _ variables: String..., effect: Effect = .applies, does summary: String,
        _ set: @escaping @Sendable (inout Configuration, String) -> Void
    ) -> Self {
        Self(path, variables, .choice(names), effect, summary) { if case .text(let value) = $1 { set(&$0, value) } }
    }

    static func choices(
        _ path: String, of names: [String], _ variables: String..., does summary: String,
        _ set: @escaping @Sendable (inout Configuration, [String]) -> Void
    ) -> Self {
        Self(path, variables, .choices(names), .applies, summary) { if case .texts(let value) = $1 { set(&$0, value) } }
    }

    static func integers(
        _ path: String, _ range: ClosedRange<Int>, effect: Effect, does summary: String,
        _ set: @escaping @Sendable (inout Configuration, [Int]) -> Void
    ) -> Self {
        Self(path, [], .integers(range), effect, summary) { if case .integers(let value) = $1 { set(&$0, value) } }
    }

    static func devices(
        _ path: String, _ variables: String..., effect: Effect = .applies, does summary: String,
        _ set: @escaping @Sendable (inout Configuration, [DeviceID]) -> Void
    ) -> Self {
        Self(path, variables, .devices, effect, summary) { if case .devices(let value) = $1 { set(&$0, value) } }
    }

    static func splits(
        _ path: String, _ variables: String..., effect: Effect = .applies, does summary: String,
        _ set: @escaping @Sendable (inout Configuration, [SplitPoint]) -> Void
    ) -> Self {
        Self(path, variables, .splits, effect, summary) { if case .splits(let value) = $1 { set(&$0, value) } }
    }

    static func models(
        _ path: String, _ variables: String..., does summary: String,
        _ set: @escaping @Sendable (inout Configuration, [Configuration.Model]) -> Void
    ) -> Self {
        Self(path, variables, .models, .applies, summary) { if case .models(let value) = $1 { set(&$0, value) } }
    }

    static func keys(
        _ path: String, does summary: String, _ set: @escaping @Sendable (inout Configuration, [Configuration.Auth.Key]) -> Void
    ) -> Self {
        Self(path, [], .keys, .applies, summary) { if case .keys(let value) = $1 { set(&$0, value) } }
    }

    static func assignments(
        _ path: String, _ range: ClosedRange<Int>, effect: Effect, does summary: String,
        _ set: @escaping @Sendable (inout Configuration, [String: Int]) -> Void
    ) -> Self {
        Self(path, [], .assignments(range), effect, summary) { if case .assignments(let value) = $1 { set(&$0, value) } }
    }

    /// A setting that is checked and does nothing.
    static func noted(_ path: String?, _ kind: Kind, _ variables: String..., effect: Effect, does summary: String) -> Self {
        Self(path, variables, kind, effect, summary) { _, _ in }
    }
}
