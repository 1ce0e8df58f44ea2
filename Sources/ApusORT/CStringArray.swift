/// NUL-terminated copies of strings that stay in place, for calls that take arrays of names.
final class CStringArray: @unchecked Sendable {
    // Written once in the initialiser and only read afterwards.
    let pointers: [UnsafePointer<CChar>]
    private let storage: [UnsafeMutablePointer<CChar>]

    init(_ strings: [String]) {
        storage = strings.map { string in
            let bytes = string.utf8CString
            let copy = UnsafeMutablePointer<CChar>.allocate(capacity: bytes.count)
            for (offset, byte) in bytes.enumerated() { (copy + offset).initialize(to: byte) }
            return copy
        }
        pointers = storage.map { UnsafePointer($0) }
    }

    deinit {
        for pointer in storage { pointer.deallocate() }
    }
}
