package import ApusDevices
package import ApusErrors
import ApusExecution
import ApusFleet
package import ApusPlacement
import ApusTensor

extension PlannedFleet {
    /// The same fleet with its devices sharing models as `wishes` say, as ``sharing(_:from:_:scaling:links:tokens:)``. Where models are cut into stages,
    /// what each of their layers takes is measured first, where it is not known, and stages are balanced by that; what cannot be measured is weighed by
    /// its arithmetic, which is noted.
    package func sharing(
        _ models: [LayerTrials.Model], _ wishes: ParallelWishes, scaling: ReplicaScaling.Limits? = nil, links: [DeviceLink] = [], tokens: Int,
        _ trials: LayerTrials
    ) async throws(ApusError) -> PlannedFleet {
        let paths = models.map(\.path)
        let planned = try sharing(models.map(\.outline), from: paths, wishes, scaling: scaling, links: links, tokens: tokens)
        guard let shape = planned.fleet.parallel?.wished.shape, shape.pipeline > 1, let device = planned.fleet.parallel?.wished.devices.first,
            let member = fleet.members.first(where: { $0.settings.device == device })
        else { return planned }
        var (outlines, notes): ([NetworkOutline], [Note]) = ([], [])
        for model in models {
            do throws(ApusError) {
                let outline = try await trials.measured(model, cuts: wishes.cuts, on: member, sharing: shape.tensor > 1)
                outlines.append(outline)
            } catch {
                if error.code == .cancelled { throw error }
                outlines.append(model.outline)
                notes.append(.init(.warning, "layers of \(model.outline.name) could not be measured, stages are balanced by arithmetic: \(error)"))
            }
        }
        var measured = try sharing(outlines, from: paths, wishes, scaling: scaling, links: links, tokens: tokens)
        measured.notes += notes
        return measured
    }
}
