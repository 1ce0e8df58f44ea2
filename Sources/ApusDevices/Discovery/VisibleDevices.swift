/// `CUDA_VISIBLE_DEVICES`: which devices CUDA shows a process, and in which order.
///
/// The rules are NVIDIA's (CUDA programming guide, "Environment variables"), in the details as PyTorch re-implements them
/// (`_parse_visible_devices` in `torch/cuda/__init__.py`): the first entry decides whether all are numbers or UUIDs; a UUID may be cut to a
/// prefix that fits one device; everything from the first entry that fits none is invisible; an entry twice leaves nothing visible.
package struct VisibleDevices: Sendable, Equatable {
    /// The variable's value; nil when it is not set, which shows all.
    package let value: String?

    package init(_ value: String?) {
        self.value = value
    }

    package struct Visible: Sendable, Equatable {
        /// Places in the list that was given, in the order CUDA numbers them.
        package var places: [Int]
        /// Why entries of the variable show nothing, if any do.
        package var note: String?

        package init(places: [Int], note: String? = nil) {
            self.places = places
            self.note = note
        }
    }

    /// - Parameter uuids: of all devices, in CUDA's order.
    package func visible(among uuids: [String]) -> Visible {
        guard let value else { return Visible(places: Array(uuids.indices)) }
        let entries = value.split(separator: ",", omittingEmptySubsequences: false).map { $0.drop { $0 == " " } }
        guard value.contains(where: { $0 != " " }) else {
            return Visible(places: [], note: "CUDA_VISIBLE_DEVICES is empty: no CUDA device is visible")
        }
        let areNumbers = !(entries[0].hasPrefix("GPU-") || entries[0].hasPrefix("MIG-"))
        var places: [Int] = []
        for entry in entries {
            let place: Int
            switch areNumbers ? Self.number(entry, uuids.count) : Self.device(entry, uuids) {
            case .success(let found): place = found
            case .failure(let refusal):
                let rest = "it and everything behind it in CUDA_VISIBLE_DEVICES=\(value) is invisible"
                return Visible(places: places, note: "\"\(entry)\" \(refusal.reason): \(rest)")
            }
            guard !places.contains(place) else {
                return Visible(places: [], note: "CUDA_VISIBLE_DEVICES=\(value) names a device twice: no CUDA device is visible")
            }
            places.append(place)
        }
        return Visible(places: places)
    }

    private struct Refusal: Error {
        var reason: String
    }

    /// As C's `strtoul` reads it: what follows the digits is ignored.
    private static func number(_ entry: Substring, _ count: Int) -> Result<Int, Refusal> {
        let isNegative = entry.first == "-"
        let digits = entry.drop { $0 == "+" || $0 == "-" }.prefix { $0.isASCII && $0.isNumber }
        guard entry.count - entry.drop(while: { $0 == "+" || $0 == "-" }).count <= 1, !digits.isEmpty else {
            return .failure(Refusal(reason: "is no device number"))
        }
        // A number too large for a word is larger than any device's.
        guard let value = Int(digits), !isNegative || value == 0, value < count else {
            return .failure(Refusal(reason: isNegative ? "stands for no device" : "is no device: there are \(count)"))
        }
        return .success(value)
    }

    private static func device(_ entry: Substring, _ uuids: [String]) -> Result<Int, Refusal> {
        guard !entry.hasPrefix("MIG-") else {
            return .failure(Refusal(reason: "is a MIG instance, which Apus does not run on"))
        }
        let matches = entry.hasPrefix("GPU-") ? uuids.indices.filter { uuids[$0].hasPrefix(entry) } : []
        guard let place = matches.first, matches.count == 1 else {
            return .failure(Refusal(reason: matches.isEmpty ? "fits no device" : "fits \(matches.count) devices"))
        }
        return .success(place)
    }
}
