package import ApusJSON
import Foundation

/// A small JSON file with what was measured once. Anything unreadable counts as absent, and a full disk costs only the time to measure again.
package struct MeasurementFile: Sendable {
    package let path: String
    private let mostBytes: Int

    package init(_ path: String, mostBytes: Int) {
        self.path = path
        self.mostBytes = mostBytes
    }

    /// The object in it; nil where there is none.
    package func read() -> JSONReader? {
        let target = URL(fileURLWithPath: path).resolvingSymlinksInPath().path
        // What is no regular file could block the reader, what is too large fill the memory.
        guard let attributes = try? FileManager.default.attributesOfItem(atPath: target),
            attributes[.type] as? FileAttributeType == .typeRegular, ((attributes[.size] as? NSNumber)?.intValue ?? .max) <= mostBytes,
            let data = FileManager.default.contents(atPath: target)
        else { return nil }
        return try? JSONReader(JSONValue(parsing: Array(data)))
    }

    /// Puts a new file in its place, unless that is no file: a device, for instance.
    package func write(_ bytes: [UInt8]) {
        if let attributes = try? FileManager.default.attributesOfItem(atPath: path) {
            guard [.typeRegular, .typeSymbolicLink].contains(attributes[.type] as? FileAttributeType) else { return }
        }
        try? Data(bytes).write(to: URL(fileURLWithPath: path), options: .atomic)
    }
}
