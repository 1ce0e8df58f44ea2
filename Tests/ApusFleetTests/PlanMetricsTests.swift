import ApusExecution
import ApusFleet
import ApusObservability
import ApusTensor
import Metrics
import Testing

@Suite("What is counted of plans", .timeLimit(.minutes(1)))
struct PlanMetricsTests {
    private func samples(_ registry: PrometheusRegistry) -> Set<String> {
        Set(String(decoding: registry.text(), as: UTF8.self).split(separator: "\n").filter { $0.hasPrefix("apus_plan") }.map(String.init))
    }

    @Test("A plan, its units and its steps are shown by the names and labels of the catalogue")
    func catalogue() async throws {
        let registry = PrometheusRegistry()
        let plan = try TestPlan.plan(2, pipeline: 2)
        let metrics = PlanMetrics(plan.wished, PrometheusMetricsFactory(registry))
        let (source, model) = (ScriptedSource(), WitnessModel())
        let fleet = try TestPlan.fleet(plan, source)
        fleet.start()
        try await fleet.add(model)
        metrics.stands(try #require(fleet.status().plan))
        metrics.took(PlanStep(.dissolved, .killed, "killed by the test", at: 0))
        let shown = samples(registry)
        for sample in [
            #"apus_plan_info{plan="[[0],[1]]",strategy="pipeline",wished="[[0],[1]]"} 1"#, "apus_plan_degraded 0",
            #"apus_plan_replicas{state="serving"} 1"#, #"apus_plan_unit{state="serving",unit="[[cpu:0],[cpu:1]]"} 1"#,
            #"apus_plan_steps_total{cause="killed",step="dissolved"} 1"#, #"apus_plan_steps_total{cause="returned",step="restored"} 0"#,
        ] { #expect(shown.contains(sample), "\(sample) is not among \(shown.sorted())") }
        let catalog = Dictionary(MetricCatalog.all.map { ($0.name, Set($0.labels)) }) { first, _ in first }
        for sample in shown {
            let parts = sample.split(separator: "{", maxSplits: 1)
            let name = String(parts[0].split(separator: " ")[0])
            let labels = parts.count == 1 ? [] : sample.matches(of: /(\w+)="/).map { String($0.1) }
            #expect(catalog[name] == Set(labels), "\(sample)")
        }
        await fleet.shutdown()
    }

    @Test("What is in force no more is not shown any more")
    func changes() async throws {
        let registry = PrometheusRegistry()
        let plan = try TestPlan.plan(2, tensor: 2)
        let metrics = PlanMetrics(plan.wished, PrometheusMetricsFactory(registry))
        let (source, model) = (ScriptedSource(), WitnessModel())
        let fleet = try TestPlan.fleet(plan, source)
        fleet.start()
        try await fleet.add(model)
        metrics.stands(try #require(fleet.status().plan))
        fleet.batchBegan(on: TestPlan.cpu(0))
        fleet.batchEnded(
            BatchReport(
                device: TestPlan.cpu(0), result: .failed(.lost, .nobody), sequences: 1, tokens: 8, seconds: 1e-6, culprit: TestPlan.cpu(1)))
        await fleet.serves([[[TestPlan.cpu(0)]]])
        metrics.stands(try #require(fleet.status().plan))
        let shown = samples(registry)
        #expect(shown.contains(#"apus_plan_info{plan="[[0]]",strategy="none",wished="[[0,1]]"} 1"#) && shown.contains("apus_plan_degraded 1"))
        #expect(!shown.contains { $0.contains(#"unit="[[cpu:0,cpu:1]]""#) } && shown.count { $0.hasPrefix("apus_plan_info") } == 1)
        await fleet.shutdown()
    }
}
