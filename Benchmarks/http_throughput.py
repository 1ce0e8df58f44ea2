#!/usr/bin/env python3
"""Texts per second over HTTP with 16 clients, as a share of the figure in process, turn by turn in the same run.

    http_throughput.py [--rounds 3] [--encoding float|base64]

Targets: 85 % with 32 texts a request; with one text a request 60 % (short) and 80 % (mixed). Every request is one of a
fixed set, sent once. Where wrk is installed (apt-get install wrk) it measures one text a request too, for fixed time.
"""
import argparse
import re
import shutil
import subprocess

from harness import COUNTS, SCRATCH, Server, apus_in_process, embeddings_request, fixed_work, median, percentile, report, table, texts

CLIENTS = 16
TARGETS = {("short", 1): 0.60, ("mixed", 1): 0.80, ("short", 32): 0.85, ("mixed", 32): 0.85}


def requests_for(corpus, size, encoding):
    lines = texts(corpus)
    groups = [lines[i:i + size] for i in range(0, len(lines), size)]
    return [embeddings_request(group if size > 1 else group[0], encoding) for group in groups]


def wrk(server, corpus, encoding, seconds=15):
    """Texts per second by wrk, one text a request; each of its connections walks through the corpus."""
    bodies = SCRATCH / f"wrk-{corpus}.bodies"
    bodies.write_bytes(b"\n".join(request.partition(b"\r\n\r\n")[2] for request in requests_for(corpus, 1, encoding)))
    script = SCRATCH / "wrk.lua"
    script.write_text(
        'local bodies, turn = {}, 0\n'
        'init = function(arguments) for line in io.lines(arguments[1]) do bodies[#bodies + 1] = line end end\n'
        'request = function()\n'
        '  turn = turn % #bodies + 1\n'
        '  return wrk.format("POST", "/v1/embeddings", {["Content-Type"] = "application/json"}, bodies[turn])\n'
        'end\n')
    output = subprocess.run(["wrk", "-t1", f"-c{CLIENTS}", f"-d{seconds}s", "--timeout", "60s", "-s", script, server.base, "--", bodies],
                            capture_output=True, text=True, check=True).stdout
    trouble = re.search(r"(Non-2xx or 3xx responses|Socket errors): .*", output)
    if trouble:
        raise SystemExit(f"wrk: {trouble.group(0)}")
    return float(re.search(r"Requests/sec:\s+([\d.]+)", output).group(1))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--encoding", choices=["float", "base64"], default="float")
    arguments = parser.parse_args()
    SCRATCH.mkdir(parents=True, exist_ok=True)
    result = {}
    for corpus in COUNTS:
        seen = {"in_process": [], "1": [], "32": [], "wrk": []}
        latencies = {"1": [], "32": []}
        for _ in range(arguments.rounds):
            seen["in_process"] += apus_in_process(corpus)
            with Server() as server:
                fixed_work(server.port, requests_for(corpus, 1, arguments.encoding)[:200], CLIENTS)
                for size in (1, 32):
                    seconds, times = fixed_work(server.port, requests_for(corpus, size, arguments.encoding), CLIENTS)
                    seen[str(size)].append(COUNTS[corpus] / seconds)
                    latencies[str(size)] += times
                if shutil.which("wrk"):
                    seen["wrk"].append(wrk(server, corpus, arguments.encoding))
        base = median(seen["in_process"])
        result[corpus] = {"texts_per_second": seen, "in_process": base}
        for size in (1, 32):
            rate = median(seen[str(size)])
            result[corpus][str(size)] = {"median": rate, "share": rate / base, "target": TARGETS[corpus, size],
                                         "p50_ms": 1e3 * percentile(latencies[str(size)], 0.5),
                                         "p99_ms": 1e3 * percentile(latencies[str(size)], 0.99)}
        if seen["wrk"]:
            result[corpus]["wrk"] = {"median": median(seen["wrk"]), "share": median(seen["wrk"]) / base}
    rows = []
    for corpus, row in result.items():
        for size in ("1", "32"):
            cell = row[size]
            rows.append([f"{corpus}, {size} a request", cell["median"], row["in_process"], f"{cell['share']:.1%}", f"{cell['target']:.0%}",
                         cell["p50_ms"], cell["p99_ms"], "yes" if cell["share"] >= cell["target"] else "no"])
        if "wrk" in row:
            rows.append([f"{corpus}, 1 a request, wrk", row["wrk"]["median"], row["in_process"], f"{row['wrk']['share']:.1%}", "", "", "", ""])
    table(f"Over HTTP with {CLIENTS} clients, texts/s", ["corpus", "http", "in process", "share", "target", "p50 ms", "p99 ms", "met"], rows)
    report("http", result)


if __name__ == "__main__":
    main()
