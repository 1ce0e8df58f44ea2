package import ApusErrors
import COnnxRuntime

extension Session {
    /// Which provider computes which nodes, as the engine decided when it made the session: for each provider the operators and how many
    /// nodes of each. The nodes are those of the graph after the rewrites that hold on every device, before a provider's own.
    package func assignedNodes() throws(ApusError) -> [String: [String: Int]] {
        var parts: UnsafePointer<OpaquePointer>?
        var count = 0
        try engine.check(OrtSession_GetEpGraphAssignmentInfo(engine.api, handle.pointer, &parts, &count))
        guard let parts else { return [:] }
        var assigned: [String: [String: Int]] = [:]
        for index in 0..<count {
            var provider: UnsafePointer<CChar>?
            try engine.check(OrtEpAssignedSubgraph_GetEpName(engine.api, parts[index], &provider))
            var nodes: UnsafePointer<OpaquePointer>?
            var nodeCount = 0
            try engine.check(OrtEpAssignedSubgraph_GetNodes(engine.api, parts[index], &nodes, &nodeCount))
            guard let provider, let nodes else { continue }
            let name = String(cString: provider)
            for node in 0..<nodeCount {
                var operation: UnsafePointer<CChar>?
                try engine.check(OrtEpAssignedNode_GetOperatorType(engine.api, nodes[node], &operation))
                if let operation { assigned[name, default: [:]][String(cString: operation), default: 0] += 1 }
            }
        }
        return assigned
    }
}
