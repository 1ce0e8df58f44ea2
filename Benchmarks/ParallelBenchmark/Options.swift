import ApusErrors
import ApusExecution
import ApusTensor

struct Options {
    enum Mode: String {
        case equality
        case data
        case pipeline
        case tensor
    }

    let mode: Mode
    var model = ""
    var file = ""
    var engine = ""
    var layouts: [(stages: Int, ranks: Int)] = []
    var rounds = 5
    var lanes: Int?
    var tokens = 384
    var form = NetworkForm.kernelsFP32
    /// Where each stage ends.
    var ends: [Int]?

    init(_ arguments: [String]) throws {
        var rest = arguments[...]
        guard let name = rest.popFirst(), let mode = Mode(rawValue: name) else {
            throw ApusError(.invalidValue, "equality, data, pipeline or tensor is wanted first")
        }
        self.mode = mode
        while let name = rest.popFirst() {
            guard let value = rest.popFirst() else { throw ApusError(.invalidValue, "\(name) needs a value") }
            switch name {
            case "--model": model = value
            case "--file": file = value
            case "--engine": engine = value
            case "--layout": layouts.append(try Self.layout(value))
            case "--rounds": rounds = try Self.count(name, value)
            case "--lanes": lanes = try Self.count(name, value)
            case "--tokens": tokens = try Self.count(name, value)
            case "--ends": ends = try value.split(separator: ",").map { try Self.count(name, String($0)) }
            case "--style":
                guard let style = GraphStyle(rawValue: value) else { throw ApusError(.invalidValue, "\(value) is no style") }
                form = try NetworkForm(style, .fp32)
            default: throw ApusError(.invalidValue, "\(name) is not an option")
            }
        }
        guard !model.isEmpty, !file.isEmpty, !engine.isEmpty else { throw ApusError(.invalidValue, "--model, --file and --engine are needed") }
    }

    private static func layout(_ value: String) throws -> (stages: Int, ranks: Int) {
        let parts = value.split(separator: "x").compactMap { Int($0) }
        guard parts.count == 2, parts[0] > 0, parts[1] > 0 else { throw ApusError(.invalidValue, "\(value) is not STAGESxRANKS") }
        return (parts[0], parts[1])
    }

    private static func count(_ name: String, _ value: String) throws -> Int {
        guard let count = Int(value), count > 0 else { throw ApusError(.invalidValue, "\(name) wants a positive number") }
        return count
    }
}
