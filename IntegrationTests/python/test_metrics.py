"""GET /metrics: well-formed Prometheus text whose counts follow the requests."""
import re

import apus

SAMPLE = re.compile(r'([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{((?:[a-zA-Z_]\w*="(?:[^"\\\n]|\\.)*",?)*)\})? (\S+)(?: \d+)?')
LABEL = re.compile(r'([a-zA-Z_]\w*)="((?:[^"\\\n]|\\.)*)"')
GPU_FAMILIES = ["gpu_memory_used_bytes", "gpu_memory_available_bytes", "gpu_utilization_percent",
                "gpu_temperature_celsius", "gpu_health_status"]


def scrape(server):
    reply = server.get("/metrics")
    assert reply.status == 200
    assert reply.headers["content-type"].startswith("text/plain")
    types, helps, samples = {}, set(), {}
    for line in reply.body.decode().splitlines():
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            assert name not in types, f"{name} has two TYPE lines"
            types[name] = kind
        elif line.startswith("# HELP "):
            helps.add(line.split(" ")[2])
        elif line:
            match = SAMPLE.fullmatch(line)
            assert match, f"not a sample: {line!r}"
            key = (match[1], tuple(sorted(LABEL.findall(match[2] or ""))))
            assert key not in samples, f"{key} is there twice"
            samples[key] = float(match[3])
    assert set(types) <= helps
    for name, _ in samples:
        family = re.sub(r"_(bucket|sum|count)$", "", name)
        assert name in types or types.get(family) == "histogram", f"{name} has no TYPE line"
    return types, samples


def total(samples, name, **labels):
    return sum(value for (sample, pairs), value in samples.items()
               if sample == name and set(labels.items()) <= set(pairs))


def test_histograms_are_cumulative(server):
    server.embed(["a", "b c d", "e" * 50])
    types, samples = scrape(server)
    seen = 0
    for family in (name for name, kind in types.items() if kind == "histogram"):
        series = {}
        for (name, pairs), value in samples.items():
            if name == f"{family}_bucket":
                rest = tuple(pair for pair in pairs if pair[0] != "le")
                series.setdefault(rest, []).append((float(dict(pairs)["le"]), value))
        for rest, buckets in series.items():
            values = [value for _, value in sorted(buckets)]
            assert values == sorted(values), family
            assert values[-1] == samples[(f"{family}_count", rest)], family
            seen += 1
    assert seen > 0


def test_counts_follow_requests(server):
    _, before = scrape(server)
    for _ in range(3):
        assert server.embed(["one two three", "four"]).status == 200
    assert server.embed("").status == 400
    assert server.embed("text", model="nothing").status == 404
    _, after = scrape(server)

    def grown(name, **labels):
        return total(after, name, **labels) - total(before, name, **labels)

    route = "/v1/embeddings"
    assert grown("apus_requests_total", route=route, code="ok") == 3
    assert grown("apus_requests_total", route=route, code="empty_input") == 1
    assert grown("apus_requests_total", route=route, code="model_not_found") == 1
    assert grown("apus_request_seconds_count", route=route) == 5
    assert grown("apus_tokens_total", model=apus.DEFAULT_MODEL) == 3 * (5 + 3)
    assert grown("apus_batch_size_sum", model=apus.DEFAULT_MODEL) == 3 * 2
    assert grown("apus_run_seconds_count", model=apus.DEFAULT_MODEL) >= 3
    assert grown("apus_queue_seconds_count", model=apus.DEFAULT_MODEL) >= 3
    assert grown("apus_tokenize_seconds_count", model=apus.DEFAULT_MODEL) >= 3


def test_gpu_families_are_described_without_a_gpu(server):
    types, _ = scrape(server)
    assert [types.get(name) for name in GPU_FAMILIES] == ["gauge"] * 5


def test_clients_cannot_invent_label_values(server):
    for number in range(30):
        server.get(f"/made/up/{number}")
        server.embed("a", model=f"made-up-{number}")
    _, samples = scrape(server)
    assert not [key for key in samples if "made" in str(key)]
