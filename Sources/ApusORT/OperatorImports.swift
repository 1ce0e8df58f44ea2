// The skeleton is a serialised ONNX `ModelProto` of three fields, written by hand: a protobuf library for some fifty bytes that never
// change would be a dependency for nothing.

import CApusOps

/// The operator sets that a model is written in.
struct OperatorImports {
    /// The domain of Apus's own operators, which the room `CApusOps` lists.
    static let ownDomain = APUS_OPS_DOMAIN

    /// An empty domain is that of the ONNX standard.
    private(set) var sets: [(domain: String, version: Int32)]

    /// The model editor accepts the standard set up to 26; 21 is the newest whose kernels every provider registers.
    init(ownOperators: Bool) {
        sets = [("", 21), ("com.microsoft", 1)]
        if ownOperators { sets.append((Self.ownDomain, 1)) }
    }

    /// A model in these operator sets with an empty graph.
    var skeleton: [UInt8] {
        // Field 1, ir_version: 10, the one that came with operator set 21.
        var model: [UInt8] = [0x08, 10]
        // Field 8, opset_import: field 1, the domain; field 2, the version. Names and numbers are far below 128, where lengths and numbers
        // become more than one byte.
        for set in sets {
            let domain = Array(set.domain.utf8)
            let entry = [0x0A, UInt8(clamping: domain.count)] + domain + [0x10, UInt8(clamping: set.version)]
            model += [0x42, UInt8(clamping: entry.count)] + entry
        }
        // Field 7, graph: field 2, its name, which must not be empty.
        return model + [0x3A, 3, 0x12, 1, UInt8(ascii: "g")]
    }
}
