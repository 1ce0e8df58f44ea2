#!/usr/bin/env python3
"""One client, one short text: the time of a request against the bare forward pass of the same text.

    latency.py [--requests 2000] [--rounds 3]

Target: p50 over HTTP at most 1.5 times the bare forward pass plus 0.5 ms. `EmbedBenchmark --latency` times the bare pass:
prepared token ids through the engine, no tokeniser, no queue, no server.
"""
import argparse
import time

from harness import EMBED_BENCHMARK, MODEL_DIRECTORY, Client, Server, embeddings_request, json_lines, median, percentile, report, table

TEXT = "A swift sleeps while it flies."


def bare():
    rows = json_lines([EMBED_BENCHMARK, "--model", MODEL_DIRECTORY, "--latency", TEXT])
    return next(row["forward_p50_ms"] for row in rows if "forward_p50_ms" in row)


def over_http(count):
    request, times = embeddings_request(TEXT), []
    with Server() as server:
        client = Client(server.port)
        for number in range(200 + count):
            client.send(request)
            while not client.receive():
                pass
            if number >= 200:
                times.append(1e3 * (time.perf_counter() - client.sent_at))
        client.socket.close()
    return times


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--requests", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    forward, times = [], []
    for _ in range(arguments.rounds):
        forward.append(bare())
        times.append(over_http(arguments.requests))
    p50 = median([percentile(round_times, 0.5) for round_times in times])
    every = [value for round_times in times for value in round_times]
    limit = 1.5 * median(forward) + 0.5
    result = {"forward_p50_ms": forward, "http_p50_ms": p50, "http_p90_ms": percentile(every, 0.9),
              "http_p99_ms": percentile(every, 0.99), "limit_ms": limit}
    table("Latency of one short text, ms", ["", "bare p50", "http p50", "http p90", "http p99", "limit", "met"],
          [["one client", f"{median(forward):.3f}", f"{p50:.3f}", f"{result['http_p90_ms']:.3f}", f"{result['http_p99_ms']:.3f}",
            f"{limit:.3f}", "yes" if p50 <= limit else "no"]])
    report("latency", result)


if __name__ == "__main__":
    main()
