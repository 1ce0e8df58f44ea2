package import ApusErrors
package import ApusExecution
import ApusORT
package import ApusTensor

extension NodeAssignment {
    /// From the operators of each provider and how many nodes of each; providers with most nodes first.
    package init(_ assigned: [String: [String: Int]]) {
        self.init(
            assigned.map { provider, operators in
                Share(provider: provider, nodes: operators.values.reduce(0, +), operators: operators.keys.sorted())
            }.sorted { ($1.nodes, $0.provider) < ($0.nodes, $1.provider) })
    }

    /// Throws `provider_incomplete` when nodes that should run on `device` were left to the CPU.
    package func requireAll(on device: DeviceID, model: String) throws(ApusError) {
        guard !device.kind.computesOnCPU,
            let left = shares.first(where: { $0.provider == ProviderName.cpu.rawValue }), left.nodes > 0
        else { return }
        let all = shares.reduce(0) { $0 + $1.nodes }
        throw ApusError(
            .providerIncomplete,
            "\(left.nodes) of \(all) nodes of this model would run on the CPU instead of \(device): \(left.operators.joined(separator: ", "))",
            place: model, advice: "Run it on the CPU, or do not ask for a strict assignment")
    }
}
