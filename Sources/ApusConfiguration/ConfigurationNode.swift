/// A configuration file as a tree, whatever its format; every node knows its line.
struct ConfigurationNode {
    indirect enum Content {
        case null
        case flag(Bool)
        case integer(Int)
        case number(Double)
        case text(String)
        case list([ConfigurationNode])
        case section([Entry])
    }

    struct Entry {
        let key: String
        let line: Int
        let value: ConfigurationNode
    }

    let content: Content
    /// From 1.
    let line: Int

    /// What the node is, in the words of an error message.
    var kind: String {
        switch content {
        case .null: "nothing"
        case .flag(let value): "\(value)"
        case .integer(let value): "\(value)"
        case .number(let value): "\(value)"
        case .text(let value): value.debugDescription
        case .list: "a list"
        case .section: "a section"
        }
    }
}
