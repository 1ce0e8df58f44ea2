extension ConfigurationSchema {
    /// Every setting as a Markdown table: key, environment variables, values, meaning.
    package static var markdown: String {
        var lines = ["| key | environment | values | meaning |", "|---|---|---|---|"]
        for key in keys {
            let variables = key.variables.map { "`\($0)`" }.joined(separator: ", ")
            lines.append("| \(key.path.map { "`\($0)`" } ?? "") | \(variables) | \(key.kind.words) | \(key.summary)\(key.effect.words) |")
        }
        return lines.joined(separator: "\n") + "\n"
    }
}

extension ConfigurationKey.Kind {
    fileprivate var words: String {
        switch self {
        case .flag: "true or false"
        case .integer(let range): "\(range.lowerBound) … \(range.upperBound)"
        case .number(let range): "\(range.lowerBound) … \(range.upperBound)"
        case .segments(let range): "\(range.lowerBound) … \(range.upperBound), or auto"
        case .text: "text"
        case .texts: "list of texts"
        case .choice(let names): names.joined(separator: ", ")
        case .choices(let names): "list of \(names.joined(separator: ", "))"
        case .integers(let range): "list of \(range.lowerBound) … \(range.upperBound)"
        case .devices: "list of devices, `cuda:0`"
        case .splits: "list of `LAYER:DEVICE`, `3:cuda:0`"
        case .models:
            "list of names, paths, or sections of `path` or `name`, `id`, `precision`, `precision_floor`, `segments`, `offload`, `max_tokens`, `batching`, `parallel`"
        case .keys: "list of sections of `name`, `sha256`, `scopes`, `requests_per_minute`, `tokens_per_minute`, `max_queue_seconds`, `priority`"
        case .assignments(let range): "section of names, each with \(range.lowerBound) … \(range.upperBound)"
        }
    }
}

extension ConfigurationKey.Effect {
    fileprivate var words: String {
        switch self {
        case .applies: ""
        case .needsCUDA: ". For CUDA devices; noted at start where there is none"
        case .needsAccelerator: ". For accelerators; noted at start where none is used"
        case .needsTargetLatency: ". Noted at start, without effect, where no `batching.target_latency_ms` is set"
        case .none(let reason): ". Noted at start, without effect: \(reason)"
        }
    }
}
