/// One place where models can run, spelled as on the command line and in headers: `cpu:0`, `cuda:1`.
public struct DeviceID: Sendable, Hashable, CustomStringConvertible {
    public enum Kind: String, Sendable, Hashable {
        case cpu
        case cuda
    }

    public let kind: Kind
    public let index: Int

    public init(_ kind: Kind, _ index: Int) {
        self.kind = kind
        self.index = index
    }

    public var description: String { "\(kind.rawValue):\(index)" }
}
