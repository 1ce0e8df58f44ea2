import COnnxRuntime

/// A constant parameter of an operator.
package enum NodeAttribute: Sendable {
    case int(Int64)
    case ints([Int64])
    case float(Float)
    case string(String)

    /// Makes the engine's attribute; the raw type numbers are `OrtOpAttrType`.
    func create(
        _ api: UnsafePointer<OrtApi>, _ name: String, _ handle: inout OpaquePointer?
    ) -> OpaquePointer? {
        switch self {
        case .int(var value):
            OrtCreateOpAttr(api, name, &value, 1, 1, &handle)
        case .ints(let values):
            OrtCreateOpAttr(api, name, values, Int32(clamping: values.count), 2, &handle)
        case .float(var value):
            OrtCreateOpAttr(api, name, &value, 1, 3, &handle)
        case .string(let text):
            OrtCreateOpAttr(api, name, Array(text.utf8), Int32(clamping: text.utf8.count), 5, &handle)
        }
    }
}
