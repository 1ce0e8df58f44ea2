import ApusObservability
import Foundation
import Testing

/// What is shipped for operators speaks of metrics that exist.
struct OperationsTests {
    private static let root = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
    private static let catalog = Dictionary(uniqueKeysWithValues: MetricCatalog.all.map { ($0.name, $0) })
    private static let document = root.appendingPathComponent("docs/operations.md")
    private static let rules = root.appendingPathComponent("ops/prometheus/apus.rules.yml")
    private static let dashboard = root.appendingPathComponent("ops/grafana/apus.json")

    /// To renew the table after a change of the catalogue: run the tests with APUS_WRITE_DOCUMENTS=1.
    @Test func `the table of metrics is that of the catalogue`() throws {
        let text = try String(contentsOf: Self.document, encoding: .utf8)
        let parts = text.components(separatedBy: "<!-- metrics -->\n")
        try #require(parts.count == 2)
        let rest = parts[1].components(separatedBy: "<!-- end of metrics -->\n")
        try #require(rest.count == 2)
        let renewed = parts[0] + "<!-- metrics -->\n" + MetricCatalog.markdown + "<!-- end of metrics -->\n" + rest[1]
        if ProcessInfo.processInfo.environment["APUS_WRITE_DOCUMENTS"] == "1" {
            try Data(renewed.utf8).write(to: Self.document)
        }
        #expect(try String(contentsOf: Self.document, encoding: .utf8) == renewed)
        #expect(MetricCatalog.markdown.contains("| `gpu_xid_errors_total` | counter | `gpu_id`, `xid` |"))
    }

    @Test func `every alert says what to do, under its own name`() throws {
        let rules = try String(contentsOf: Self.rules, encoding: .utf8)
        let alerts = rules.matches(of: /- alert: (\w+)/).map { String($0.1) }
        #expect(alerts.count > 20)
        let headings = try String(contentsOf: Self.document, encoding: .utf8).matches(of: /\n### (\w+)\n/).map { String($0.1) }
        #expect(headings == alerts)
        let runbooks = rules.matches(of: /runbook: docs\/operations.md#(\w+)/).map { String($0.1) }
        #expect(runbooks == alerts.map { $0.lowercased() })
        let tested = try String(contentsOf: Self.rules.deletingLastPathComponent().appendingPathComponent("apus.rules.test.yml"), encoding: .utf8)
        for alert in alerts {
            let checks = tested.components(separatedBy: "alertname: \(alert)\n        exp_alerts:").dropFirst()
            #expect(checks.contains { $0.hasPrefix(" []") }, "\(alert) is never shown to be quiet")
            #expect(checks.contains { $0.hasPrefix("\n") }, "\(alert) is never shown to fire")
        }
    }

    @Test func `alerts ask for metrics and labels that exist`() throws {
        for reference in try references(in: String(contentsOf: Self.rules, encoding: .utf8)) { check(reference) }
    }

    @Test func `the dashboard asks for metrics and labels that exist, and leaves none out`() throws {
        let document = try JSONSerialization.jsonObject(with: Data(contentsOf: Self.dashboard))
        let queries = Self.strings(in: document, under: ["expr", "query", "definition"])
        #expect(queries.count > 50)
        var shown: Set<String> = []
        for reference in try queries.flatMap(references(in:)) {
            check(reference)
            shown.insert(reference.family)
        }
        #expect(Set(Self.catalog.keys).subtracting(shown).isEmpty)
    }

    @Test func `the dashboard's panels have ids of their own, a data source that can be chosen, and do not overlap`() throws {
        let document = try #require(try JSONSerialization.jsonObject(with: Data(contentsOf: Self.dashboard)) as? [String: Any])
        let panels = try #require(document["panels"] as? [[String: Any]])
        #expect(Set(panels.compactMap { $0["id"] as? Int }).count == panels.count)
        var taken: Set<[Int]> = []
        for panel in panels {
            let place = try #require(panel["gridPos"] as? [String: Int])
            let (x, y, w, h) = (try #require(place["x"]), try #require(place["y"]), try #require(place["w"]), try #require(place["h"]))
            #expect(x >= 0 && w > 0 && x + w <= 24 && h > 0)
            for cell in (x..<x + w).flatMap({ column in (y..<y + h).map { [column, $0] } }) {
                #expect(taken.insert(cell).inserted, "\(panel["title"] ?? "")")
            }
            guard panel["type"] as? String != "row" else { continue }
            #expect((panel["datasource"] as? [String: String])?["uid"] == "${datasource}")
        }
        let names = try #require((document["templating"] as? [String: Any])?["list"] as? [[String: Any]]).compactMap { $0["name"] as? String }
        let used = Self.strings(in: document, under: ["expr", "uid", "query"]).joined().matches(of: /\$\{?(\w+)/).map { String($0.1) }
        #expect(Set(used).subtracting(["__rate_interval"]) == Set(names))
    }

    /// A metric named in PromQL, with the labels that are asked of it.
    private struct Reference {
        var name: String
        var labels: [String]
        var family: String
    }

    private func references(in text: String) throws -> [Reference] {
        text.matches(of: /\b((?:apus|gpu|process)_[a-z_]+)\b(?:\{([^}]*)\})?/).map { match in
            let name = String(match.1)
            var family = name
            for suffix in ["_bucket", "_sum", "_count"] where Self.catalog[name] == nil && name.hasSuffix(suffix) {
                family.removeLast(suffix.count)
            }
            let labels = (match.2 ?? "").matches(of: /(\w+)\s*(?:=~|!~|!=|=)\s*"/).map { String($0.1) }
            return Reference(name: name, labels: labels, family: family)
        }
        .filter { $0.name != "gpu_id" }
    }

    private func check(_ reference: Reference) {
        guard let descriptor = Self.catalog[reference.family] else {
            Issue.record("no metric is called \(reference.name)")
            return
        }
        var isHistogram = false
        if case .histogram = descriptor.kind { isHistogram = true }
        #expect(isHistogram == (reference.name != reference.family), "\(reference.name)")
        let known = descriptor.labels + ["job", "instance"] + (isHistogram ? ["le"] : [])
        for label in reference.labels { #expect(known.contains(label), "\(reference.name) has no label \(label)") }
    }

    private static func strings(in value: Any, under keys: Set<String>) -> [String] {
        switch value {
        case let object as [String: Any]:
            object.flatMap { key, value in
                if keys.contains(key), let text = value as? String { [text] } else { strings(in: value, under: keys) }
            }
        case let array as [Any]: array.flatMap { strings(in: $0, under: keys) }
        default: []
        }
    }
}
