package import ApusErrors
import ApusExecution

/// Tells the failures that poison a device context for the rest of its process.
package enum StickyError {
    /// CUDA's codes after which "the process must be terminated and relaunched" (`cuda.h` 12.9: `CUDA_ERROR_…` of illegal addresses,
    /// asserts, launch timeouts and their kin), and 214, an uncorrectable memory error, which leaves the context no better.
    private static let codes: Set<Int> = [214, 226, 700, 702, 710, 714, 715, 716, 717, 718, 719, 721, 810, 911]

    /// ONNX Runtime reports CUDA's code only inside its text, `CUDA failure 700: …`.
    private static let marker = "CUDA failure "

    package static func isSticky(_ error: ApusError) -> Bool {
        if error.deviceFailure == .sticky { return true }
        if codesIn(error.message).contains(where: codes.contains) { return true }
        switch error.cause {
        case let cause as ApusError: return isSticky(cause)
        case let cause?: return codesIn("\(cause)").contains(where: codes.contains)
        case nil: return false
        }
    }

    private static func codesIn(_ text: String) -> [Int] {
        var found: [Int] = []
        var rest = Substring(text).utf8[...]
        while let start = rest.firstRange(of: marker.utf8) {
            rest = rest[start.upperBound...]
            let digits = rest.prefix { $0 >= UInt8(ascii: "0") && $0 <= UInt8(ascii: "9") }
            if rest.dropFirst(digits.count).first == UInt8(ascii: ":"), let code = Int(Substring(digits)) { found.append(code) }
        }
        return found
    }
}
