package import ApusErrors

/// A part of a network that came as an ONNX file: nodes that stand one after the other in its list.
package struct FileSlice: Sendable, Equatable {
    /// Of the file's nodes; never empty.
    package let nodes: Range<Int>
    /// Those of the whole file.
    package let nodeCount: Int
    /// What earlier parts hand on, under the names and in the types in which it crosses.
    package let handedOn: [ValueDescription]

    /// - Throws: `unsupported_plan` for nodes that the file does not have, or none of them.
    package init(nodes: Range<Int>, nodeCount: Int, handedOn: [ValueDescription] = []) throws(ApusError) {
        guard nodes.lowerBound >= 0, nodes.upperBound <= nodeCount, !nodes.isEmpty else {
            throw ApusError(
                .unsupportedPlan, "nodes \(nodes.lowerBound) to \(nodes.upperBound) are no part of a network of \(nodeCount)", place: "nodes")
        }
        self.nodes = nodes
        self.nodeCount = nodeCount
        self.handedOn = handedOn
    }
}

extension FileSlice: CustomStringConvertible {
    /// `nodes 0..<40 of 96`
    package var description: String { "nodes \(nodes.lowerBound)..<\(nodes.upperBound) of \(nodeCount)" }
}
