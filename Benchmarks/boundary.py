#!/usr/bin/env python3
"""What worker processes cost: `apus serve` against `apus serve --in-process`, turn by turn in the same run.

    boundary.py [--rounds 7] [--requests 300] [--no-library]

Both servers run all the time and one is asked at a time, the order changing every round. Targets: with 32 texts a request at least 95 % of the
throughput in process; for one short text at most 0.2 ms more at the median. The library without HTTP is measured the same way
(`EmbedBenchmark --worker`). Figures are medians over rounds of what was compared inside a round. Exit status 1 when a target is missed.
"""
import argparse
import os
import sys
import time

from harness import BINARY, COUNTS, EMBED_BENCHMARK, MODEL_DIRECTORY, Client, Server, embeddings_request, fixed_work, json_lines, median, percentile
from harness import report, table, text_file, texts

CLIENTS, SIZE, TEXT = 16, 32, "A swift sleeps while it flies."
LEAST_SHARE, MOST_ADDED_MS = 0.95, 0.2


def throughput(server, corpus):
    lines = texts(corpus)
    requests = [embeddings_request(lines[start:start + SIZE]) for start in range(0, len(lines), SIZE)]
    seconds, _ = fixed_work(server.port, requests, CLIENTS)
    return COUNTS[corpus] / seconds


def latency(server, count):
    """Milliseconds at the median of `count` requests by one client."""
    request, times = embeddings_request(TEXT), []
    client = Client(server.port)
    for number in range(20 + count):
        client.send(request)
        while not client.receive():
            pass
        if number >= 20:
            times.append(1e3 * (time.perf_counter() - client.sent_at))
    client.socket.close()
    return percentile(times, 0.5)


def library(corpus, workers):
    command = [EMBED_BENCHMARK, "--model", MODEL_DIRECTORY, "--file", text_file(corpus), "--passes", 1]
    return json_lines(command + (["--worker", BINARY] if workers else []))[-1]["texts_per_second"]


def rounds(count, measure):
    """Pairs (workers, in process) of `measure`, the order changing every round."""
    pairs = []
    for number in range(count):
        order = (True, False) if number % 2 == 0 else (False, True)
        seen = {workers: measure(workers) for workers in order}
        pairs.append((seen[True], seen[False]))
    return pairs


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--requests", type=int, default=300)
    parser.add_argument("--no-library", action="store_true", help="measure over HTTP only")
    arguments = parser.parse_args()
    if not arguments.no_library and not EMBED_BENCHMARK.exists():
        sys.exit(f"{EMBED_BENCHMARK} is missing; run: swift build -c release --product EmbedBenchmark")
    result, rows, missed = {"load_average": os.getloadavg()}, [], []

    def shares(name, pairs):
        share = median([workers / inside for workers, inside in pairs])
        result[name] = {"pairs": pairs, "share": share}
        rows.append([name, median([pair[0] for pair in pairs]), median([pair[1] for pair in pairs]), f"{share:.1%}", f"{LEAST_SHARE:.0%}",
                     "yes" if share >= LEAST_SHARE else "no"])
        if share < LEAST_SHARE:
            missed.append(f"{name}: {share:.1%} of the throughput in process")

    with Server() as workers, Server("--in-process") as inside:
        servers = {True: workers, False: inside}
        for server in servers.values():
            latency(server, 100)
        pairs = rounds(2 * arguments.rounds, lambda side: latency(servers[side], arguments.requests))
        added = median([workers - inside for workers, inside in pairs])
        result["latency_ms"] = {"pairs": pairs, "added": added}
        rows.append(["one short text, p50 ms", f"{median([pair[0] for pair in pairs]):.3f}", f"{median([pair[1] for pair in pairs]):.3f}",
                     f"{added:+.3f}", f"+{MOST_ADDED_MS:.3f}", "yes" if added <= MOST_ADDED_MS else "no"])
        if added > MOST_ADDED_MS:
            missed.append(f"one short text: {added:.3f} ms added")
        for corpus in COUNTS:
            for server in servers.values():
                fixed_work(server.port, [embeddings_request(texts(corpus)[:SIZE])] * 4, 2)
            shares(f"{corpus}, {SIZE} a request", rounds(arguments.rounds, lambda side, corpus=corpus: throughput(servers[side], corpus)))
    if not arguments.no_library:
        for corpus in COUNTS:
            shares(f"{corpus}, library", rounds(arguments.rounds, lambda side, corpus=corpus: library(corpus, side)))
    table("The process boundary", ["", "workers", "in process", "ratio", "target", "met"], rows)
    for text in missed:
        print(f"  missed: {text}")
    report("boundary", result | {"missed": missed})
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
