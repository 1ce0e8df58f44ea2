import ApusErrors

/// What the inputs of a run are called in the request that they came in.
struct InputNames: Sendable {
    /// Consecutive inputs of one list.
    struct Part: Sendable {
        /// The member of the request.
        var field: String
        /// What one of them is.
        var noun: String
        var count: Int
        /// Whether the member is one input and no list.
        var isSingle = false
    }

    /// Those of a run, in order.
    var parts: [Part]

    init(_ parts: [Part]) {
        self.parts = parts
    }

    init(_ field: String, _ noun: String, count: Int) {
        self.init([Part(field: field, noun: noun, count: count)])
    }

    /// `document 3`
    func name(_ index: Int) -> String {
        let (part, offset) = place(of: index)
        return part.isSingle ? "the \(part.noun)" : "\(part.noun) \(offset)"
    }

    /// `documents`
    func field(_ index: Int) -> String { place(of: index).part.field }

    /// `documents[3]`
    func element(_ index: Int) -> String {
        let (part, offset) = place(of: index)
        return part.isSingle ? part.field : "\(part.field)[\(offset)]"
    }

    /// What rooms below say of `input[3]`, said of the element that it came from.
    func telling(_ error: ApusError) -> ApusError {
        guard let place = error.place, place.hasPrefix("input") else { return error }
        var told = error
        told.place = Int(place.dropFirst("input[".count).dropLast()).map(element) ?? field(0)
        return told
    }

    private func place(of index: Int) -> (part: Part, offset: Int) {
        var offset = index
        for part in parts {
            if offset < part.count { return (part, offset) }
            offset -= part.count
        }
        return (parts.last ?? Part(field: "input", noun: "input", count: 0), offset)
    }
}
