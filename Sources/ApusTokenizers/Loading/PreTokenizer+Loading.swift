internal import ApusErrors
internal import ApusJSON

extension PreTokenizer {
    init(_ json: JSONReader) throws(ApusError) {
        let type = try json.string("type")
        switch type {
        case "BertPreTokenizer": self = .bert
        case "Whitespace": self = .whitespace
        case "WhitespaceSplit": self = .whitespaceSplit
        case "CharDelimiterSplit": self = .delimiter(try json.scalar("delimiter"))
        case "Digits": self = .digits(individually: try json.bool("individual_digits"))
        case "Punctuation": self = .punctuation(try Self.behavior(json, default: .isolated))
        case "Metaspace": self = .metaspace(try Metaspace(json))
        case "FixedLength":
            let length = try json.optionalInteger("length") ?? 5
            guard length > 0 else { throw json.failure("length", "a number above 0 is wanted") }
            self = .fixedLength(length)
        case "Split":
            self = .split(
                try json.textPattern(), try Self.behavior(json, default: nil), isInverted: try json.bool("invert"))
        case "ByteLevel":
            let usesPattern = try json.optionalBool("use_regex") ?? true
            // Offsets are not computed, but a file that lacks the field is not well formed.
            _ = try json.bool("trim_offsets")
            var pattern: Regex?
            if usesPattern {
                do throws(RegexFailure) {
                    pattern = try Regex(Self.gpt2Pattern)
                } catch {
                    throw json.failure("use_regex", error.reason)
                }
            }
            self = .byteLevel(addsPrefixSpace: try json.bool("add_prefix_space"), pattern: pattern)
        case "Sequence":
            var members: [PreTokenizer] = []
            for part in try json.parts("pretokenizers") { members.append(try PreTokenizer(part)) }
            self = .sequence(members)
        default:
            throw json.unknownType(type, "pre-tokenizer")
        }
    }

    private static func behavior(
        _ json: JSONReader, default fallback: SplitBehavior?
    ) throws(ApusError) -> SplitBehavior {
        if json.object["behavior"] == nil, let fallback { return fallback }
        let name = try json.string("behavior")
        guard let behavior = SplitBehavior(rawValue: name) else {
            throw json.failure("behavior", "the behavior '\(name)' is not known")
        }
        return behavior
    }
}

extension Metaspace {
    /// Also reads the form of older files, which says `add_prefix_space` and no scheme.
    init(_ json: JSONReader) throws(ApusError) {
        replacement = try json.scalar("replacement")
        splits = try json.optionalBool("split") ?? true
        var scheme = PrependScheme.always
        let isStated = json.object["prepend_scheme"] != nil
        if isStated {
            let name = try json.string("prepend_scheme")
            guard let stated = PrependScheme(rawValue: name) else {
                throw json.failure("prepend_scheme", "always, first or never is wanted, not '\(name)'")
            }
            scheme = stated
        }
        if try json.optionalBool("add_prefix_space") == false {
            guard !isStated || scheme == .never else {
                throw json.failure("add_prefix_space", "it contradicts prepend_scheme")
            }
            scheme = .never
        }
        self.scheme = scheme
    }
}
