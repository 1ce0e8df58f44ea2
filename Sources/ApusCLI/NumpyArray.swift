import ApusErrors
import Foundation

/// A two-dimensional float32 array in NumPy's file format, version 1.0
/// (numpy.lib.format: magic, version, header length, a Python literal padded to 64 bytes, the elements).
///
/// Written here because no reachable Swift library writes the format.
struct NumpyArray {
    private let columns: Int
    private var rows = 0
    private var elements = Data()

    init(columns: Int) {
        self.columns = columns
    }

    mutating func append(_ row: [Float]) {
        rows += 1
        for value in row { withUnsafeBytes(of: value.bitPattern.littleEndian) { elements.append(contentsOf: $0) } }
    }

    /// Finds out before hours of work whether a file can be made at `path`. Throws `file_unwritable`.
    static func checkWritable(_ path: String) throws(ApusError) {
        let url = URL(fileURLWithPath: path)
        var isDirectory: ObjCBool = false
        let exists = FileManager.default.fileExists(atPath: path, isDirectory: &isDirectory)
        guard FileManager.default.isWritableFile(atPath: url.deletingLastPathComponent().path), !(exists && isDirectory.boolValue) else {
            throw ApusError(.fileUnwritable, "no file can be written here", place: path)
        }
    }

    /// Writes the file whole or not at all. Throws `file_unwritable`.
    func write(to path: String) throws(ApusError) {
        do {
            try (header + elements).write(to: URL(fileURLWithPath: path), options: .atomic)
        } catch {
            throw ApusError(.fileUnwritable, "the array cannot be written", place: path, cause: error)
        }
    }

    private var header: Data {
        var text = "{'descr': '<f4', 'fortran_order': False, 'shape': (\(rows), \(columns)), }"
        let fixed = 10
        let padding = 64 - (fixed + text.utf8.count + 1) % 64
        text += String(repeating: " ", count: padding % 64) + "\n"
        let length = UInt16(truncatingIfNeeded: text.utf8.count)
        return Data([0x93]) + Data("NUMPY".utf8) + Data([1, 0, UInt8(length & 0xFF), UInt8(length >> 8)]) + Data(text.utf8)
    }
}
