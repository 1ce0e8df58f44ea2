import Apus
import ApusJSON
import Foundation

/// The pictures of `scripts/make_image_model.py` and what ONNX Runtime makes of them.
enum Pictures {
    static let count = 5
    static let installation = Installation(
        home: TinyCheckpoint.repository.appendingPathComponent(".apus").path, environment: [:], executable: nil)

    static func path(_ file: String) -> String {
        TinyCheckpoint.repository.appendingPathComponent("Tests/Fixtures/image/\(file)").path
    }

    /// As `picture` of the script.
    static func item(_ number: Int) -> [String: Tensor] {
        let pixels = (0..<3 * 224 * 224).map { index in
            let mixed = (index * 1_103_515_245 + (number + 1) * 12_345 + (index / 7) * (number + 3)) % 65_536
            return Float(mixed - 32_768) / 32_768
        }
        guard let tensor = try? Tensor(shape: [3, 224, 224], .float32(pixels)) else { return [:] }
        return ["pixels": tensor]
    }

    static func golden(_ output: String) throws -> [[Float]] {
        let document = try JSONValue(parsing: Array(try Data(contentsOf: URL(fileURLWithPath: path("golden.json")))))
        guard case .object(let object) = document, case .array(let rows)? = object[output] else { return [] }
        return rows.map { row in
            guard case .array(let values) = row else { return [] }
            return values.compactMap { value in
                switch value {
                case .integer(let number): Float(number)
                case .number(let number): Float(number)
                default: nil
                }
            }
        }
    }
}
