package import ApusErrors
package import ApusTensor

/// The devices that somebody asks for: `auto`, `cpu`, `cpu:2`, `cuda:0,1`, `sim:8`, `cuda:0,1,cpu`.
package enum DeviceList: Sendable, Equatable {
    /// Whatever turns out to be best.
    case automatic
    case named([Selector])

    /// Devices of one kind.
    package struct Selector: Sendable, Equatable {
        package enum Which: Sendable, Equatable {
            /// All that there are.
            case all
            /// That many logical devices, numbered from 0.
            case count(Int)
            case indices([Int])
        }

        package var kind: DeviceID.Kind
        package var which: Which

        package init(_ kind: DeviceID.Kind, _ which: Which) {
            self.kind = kind
            self.which = which
        }
    }

    /// The most logical devices of one kind.
    package static let mostLogicalDevices = 256

    /// Reads a list. A number without a kind belongs to the kind in front of it; `cpu` and `sim` take how many, the others which.
    ///
    /// - Parameter place: where the text comes from, for errors.
    /// - Throws: `invalid_value`.
    package init(_ text: String, place: String = "--devices") throws(ApusError) {
        func refuse(_ what: String) -> ApusError {
            ApusError(
                .invalidValue, "\"\(text)\" is no list of devices: \(what)", place: place,
                advice: "Write auto, or a list such as cpu, cpu:2 (two logical devices), cuda:0,1 or cuda:0,1,cpu")
        }
        let items = text.split(separator: ",", omittingEmptySubsequences: false).map { $0.trimmed }
        if items == ["auto"] {
            self = .automatic
            return
        }
        var selectors: [Selector] = []
        for item in items {
            guard !item.isEmpty else { throw refuse(text.isEmpty ? "it is empty" : "a device is missing beside a comma") }
            guard item != "auto" else { throw refuse("auto stands alone") }
            if let index = Self.number(item) {
                guard let last = selectors.last else { throw refuse("\(item) has no kind in front of it") }
                guard case .indices(let indices) = last.which else {
                    let takes = last.kind.isLogical ? "one number, how many" : "numbers behind a colon"
                    throw refuse("\(item) belongs to no kind: \(last.kind.rawValue) takes \(takes)")
                }
                guard !indices.contains(index) else { throw refuse("\(last.kind.rawValue):\(index) is named twice") }
                selectors[selectors.count - 1].which = .indices(indices + [index])
                continue
            }
            let parts = item.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
            guard let kind = DeviceID.Kind(rawValue: String(parts[0])) else {
                let kinds = DeviceID.Kind.allCases.map(\.rawValue).joined(separator: ", ")
                throw refuse("there is no kind of device \"\(parts[0])\", only \(kinds)")
            }
            guard !selectors.contains(where: { $0.kind == kind && ($0.which == .all || kind.isLogical || parts.count == 1) }) else {
                throw refuse("\(kind.rawValue) is named twice")
            }
            guard parts.count == 2 else {
                selectors.append(Selector(kind, kind.isLogical ? .count(1) : .all))
                continue
            }
            guard let number = Self.number(parts[1]) else { throw refuse("\"\(parts[1])\" behind \(kind.rawValue): is no number") }
            if kind.isLogical {
                guard (1...Self.mostLogicalDevices).contains(number) else {
                    throw refuse("\(kind.rawValue):N asks for N logical devices, from 1 to \(Self.mostLogicalDevices)")
                }
                selectors.append(Selector(kind, .count(number)))
            } else if let place = selectors.firstIndex(where: { $0.kind == kind }), case .indices(let indices) = selectors[place].which {
                guard !indices.contains(number) else { throw refuse("\(kind.rawValue):\(number) is named twice") }
                // Later numbers without a kind belong here too.
                selectors.remove(at: place)
                selectors.append(Selector(kind, .indices(indices + [number])))
            } else {
                selectors.append(Selector(kind, .indices([number])))
            }
        }
        self = .named(selectors)
    }

    /// ASCII digits only, at most nine of them, without a leading zero.
    private static func number(_ text: Substring) -> Int? {
        guard !text.isEmpty, text.utf8.count <= 9, text.utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }),
            text.utf8.count == 1 || text.utf8.first != UInt8(ascii: "0")
        else { return nil }
        return Int(text)
    }
}

extension DeviceID.Kind {
    /// Whether as many devices can be made of it as are asked for.
    var isLogical: Bool { self == .cpu || self == .sim }
}

extension Substring {
    fileprivate var trimmed: Substring {
        var text = drop { $0 == " " }
        while text.last == " " { text.removeLast() }
        return text
    }
}
