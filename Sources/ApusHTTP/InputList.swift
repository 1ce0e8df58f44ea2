import ApusErrors
import ApusJSON
import ApusService

/// The `input` of a body: one text or list of token ids, or a list of either.
struct InputList {
    private(set) var inputs: [EmbeddingInput] = []
    /// Inputs with a token id that no vocabulary has, by their index; an empty list stands for them in ``inputs``.
    private(set) var faults: [Int: ApusError] = [:]

    /// - Parameter maxInputs: longer lists are refused before their elements are looked at.
    /// - Throws: `.invalidValue`, `.emptyInput`, `.arrayTooLong`.
    init(_ value: JSONValue, maxInputs: Int) throws(ApusError) {
        switch value {
        case .string(let text):
            inputs = [.text(text)]
        case .array(let elements):
            try append(elements, maxInputs: maxInputs)
        default:
            throw Self.wrong
        }
    }

    private mutating func append(_ elements: [JSONValue], maxInputs: Int) throws(ApusError) {
        switch elements.first {
        case nil: throw ApusError(.emptyInput, "there is nothing to embed", place: "input")
        case .integer, .number: return try appendTokens(elements)
        default: break
        }
        guard elements.count <= maxInputs else {
            throw ApusError(
                .arrayTooLong, "\(elements.count) inputs are more than the \(maxInputs) that one request may hold",
                place: "input", advice: "Send them in several requests"
            )
        }
        inputs.reserveCapacity(elements.count)
        for element in elements {
            switch (elements.first, element) {
            case (.string, .string(let text)): inputs.append(.text(text))
            case (.array, .array(let ids)): try appendTokens(ids)
            default: throw Self.wrong
            }
        }
    }

    private mutating func appendTokens(_ elements: [JSONValue]) throws(ApusError) {
        var ids: [Int32] = []
        var stranger: String?
        ids.reserveCapacity(elements.count)
        for element in elements {
            switch element {
            case .integer(let value):
                if let id = Int32(exactly: value) { ids.append(id) } else { stranger = stranger ?? value.description }
            case .number(let value):
                guard value == value.rounded() else {
                    throw ApusError(.invalidValue, "token ids must be whole numbers, not \(value)", place: "input")
                }
                if let id = Int32(exactly: value) { ids.append(id) } else { stranger = stranger ?? value.description }
            default:
                throw Self.wrong
            }
        }
        if let stranger {
            faults[inputs.count] = ApusError(.invalidToken, "the token id \(stranger) is outside every vocabulary", place: "input")
            ids = []
        }
        inputs.append(.tokens(ids))
    }

    private static var wrong: ApusError {
        ApusError(
            .invalidValue,
            "must be a string, a list of strings, a list of token ids or a list of lists of token ids, and not a mixture",
            place: "input"
        )
    }
}
