#!/usr/bin/env python3
"""A load that triples and falls back, and a scheduler that is told what latency to keep: against every fixed batch size, in the same run.

    adaptive.py [--target-ms 100] [--phase 20] [--top 0.8] [--sizes 1 4 16 32 64] [--quick] [--devices LIST] [--set KEY=VALUE]

Three phases, open-loop: a third of `--top` of the peak, `--top` of the peak, a third again. One server with batching.target_latency_ms, then one for
each fixed size (batching.max_batch_size, with a token budget that does not bind), all with the same arrivals. Targets for the first: p95 over
all at most 1.2 times the target; from 5 s after each change on, p95 of every 2 s within it; in each phase at least 90 % of the right answers a second of
the best fixed size. Exit status 1 when a target is missed.
"""
import argparse
import os
import sys

from harness import percentile, report, table

from configured_server import ConfiguredServer, Watch, add_server_arguments, asked_precision, mean_between, server_arguments
from kill_workers import Processors
from open_loop import OpenLoop, closed_loop
from traffic import Requests, Traffic

MOST_OVER, LEAST_SHARE, SETTLED_AFTER, WINDOW = 1.2, 0.9, 5.0, 2.0
# More than any text has, so that a number of rows is all that ends a batch.
TOKENS_A_ROW = 256


def settings_of_size(size):
    return {"batching.max_batch_size": size, "batching.token_budget": TOKENS_A_ROW * size}


def trial(settings, options, requests, phases, connections=900):
    """Figures of one server under the load, by phase and by second."""
    with ConfiguredServer(settings, *options) as server:
        # What a server learns and reserves in its first seconds is not what is compared.
        closed_loop(server.port, requests, 8, 2.0)
        processors = Processors(server)
        before = processors.look()
        traffic = Traffic("load", requests, phases=phases)
        with Watch(server, every=1.0) as watch:
            loop = OpenLoop(server.port, traffic, connections=connections).run()
        others = processors.others(before, processors.look())
    starts = [sum(seconds for seconds, _ in phases[:number]) for number in range(len(phases))]
    by_phase = []
    for start, (seconds, rate) in zip(starts, phases):
        figures = loop.figures(traffic, start, start + seconds)
        by_phase.append({"rate": rate, "seconds": seconds} | {key: figures[key] for key in ("offered_per_s", "answered_per_s", "p50_ms", "p95_ms", "p99_ms")}
                        | {"refused": sum(figures["refused"].values())})
    looks = watch.samples()
    return {"p95_ms": loop.figures(traffic)["p95_ms"], "phases": by_phase, "windows": windows(loop, traffic, starts, phases),
            "seconds": loop.by_second(traffic), "batches": batches(loop, looks), "generator_cpu_share": loop.cpu_share, "others_cpu_share": others,
            "refused": loop.figures(traffic)["refused"], "complaints": loop.complaints(), "doubts": loop.doubts()}


def windows(loop, traffic, starts, phases):
    """p95 in milliseconds of every window that begins SETTLED_AFTER seconds or later after a change, with when it begins."""
    found = []
    for start, (seconds, _) in zip(starts, phases):
        begin = start + min(SETTLED_AFTER, seconds / 2)
        while begin + WINDOW <= start + seconds + 1e-9:
            times = [entry.latency for entry in loop.of(traffic, begin, begin + WINDOW) if entry.right]
            found.append((round(begin, 2), 1e3 * percentile(times, 0.95) if times else None))
            begin += WINDOW
    return found


def batches(loop, looks):
    """Rows and tokens of the mean batch between two looks at the metrics, with when."""
    return [{"second": round(then - loop.began, 2), "rows": mean_between(before, after, "apus_batch_size"),
             "tokens": mean_between(before, after, "apus_batch_tokens"), "run_ms": milliseconds(mean_between(before, after, "apus_run_seconds")), "budget": after.max("apus_batch_token_budget")}
            for (_, before), (then, after) in zip(looks, looks[1:])]


def milliseconds(seconds):
    return None if seconds is None else 1e3 * seconds


def faults(name, figures, target, fixed):
    """Targets that were missed, in words."""
    limit = MOST_OVER * target
    found = [] if figures["p95_ms"] is not None and figures["p95_ms"] <= limit else [f"p95 over all {figures['p95_ms'] or 0:.0f} ms, at most {limit:.0f}"]
    over = [(begin, p95) for begin, p95 in figures["windows"] if p95 is None or p95 > limit]
    if over:
        found.append(f"{len(over)} of {len(figures['windows'])} settled windows over {limit:.0f} ms, the worst {max(p95 or 0 for _, p95 in over):.0f} ms")
    for number, phase in enumerate(figures["phases"]):
        # More than was offered is what an earlier phase had left over.
        best = min(phase["offered_per_s"], max(other["phases"][number]["answered_per_s"] for other in fixed.values()))
        if phase["answered_per_s"] < LEAST_SHARE * best:
            found.append(f"phase {number + 1}: {phase['answered_per_s']:.1f} requests/s, the best fixed size {best:.1f}")
    return [f"{name}: {text}" for text in found]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--target-ms", type=int, default=100)
    parser.add_argument("--phase", type=float, default=20, help="seconds a phase")
    parser.add_argument("--top", type=float, default=0.8, help="of the peak, at the top of the load")
    parser.add_argument("--sizes", type=int, nargs="+", default=[1, 4, 16, 32, 64])
    parser.add_argument("--texts", type=int, default=2, help="texts a request")
    parser.add_argument("--quick", action="store_true", help="ten seconds a phase, three sizes")
    add_server_arguments(parser)
    arguments = parser.parse_args()
    phase, sizes = (min(10.0, arguments.phase), [1, 16, 64]) if arguments.quick else (arguments.phase, arguments.sizes)
    settings, options = dict(arguments.settings), server_arguments(arguments)
    requests = Requests.of("short", 8000, arguments.texts, precision=asked_precision(arguments))
    with ConfiguredServer(settings, *options) as server:
        closed_loop(server.port, requests, 64, 1.0)
        peak = closed_loop(server.port, requests, 64, 6.0)[0] / requests.size
    phases = tuple((phase, share * arguments.top * peak) for share in (1 / 3, 1, 1 / 3))
    adaptive = trial(settings | {"batching.target_latency_ms": arguments.target_ms}, options, requests, phases)
    fixed = {size: trial(settings | settings_of_size(size), options, requests, phases) for size in sizes}
    missed = faults("adaptive", adaptive, arguments.target_ms, fixed)
    rows = []
    for name, figures in {"adaptive": adaptive, **{f"{size} rows": figures for size, figures in fixed.items()}}.items():
        missed += [f"{name}: {text}" for text in figures["complaints"]]
        rows.append([name, f"{figures['p95_ms'] or 0:.0f}", *[f"{row['answered_per_s']:.1f} / {row['p95_ms'] or 0:.0f}" for row in figures["phases"]],
                     sum(figures["refused"].values()), f"{max((p95 or 0 for _, p95 in figures['windows']), default=0):.0f}",
                     f"{figures['generator_cpu_share']:.0%}", f"{figures['others_cpu_share']:.0%}"])
    offered = [f"offered {rate:.1f}/s" for _, rate in phases]
    table(f"Requests/s answered and p95 in ms, {requests.size} short texts each, peak {peak:.1f}; target {arguments.target_ms:g} ms, at most {MOST_OVER}x",
          ["", "p95 of all", *offered, "refused", "worst 2 s, settled", "generator", "others"], rows)
    for name, figures in {"adaptive": adaptive, **fixed}.items():
        for text in figures["doubts"]:
            print(f"  doubt: {name}: {text}")
    for text in missed:
        print(f"  missed: {text}")
    report("adaptive", {"target_ms": arguments.target_ms, "peak": peak, "phases": phases, "texts_a_request": requests.size, "adaptive": adaptive,
                        "fixed": {size: {key: value for key, value in figures.items() if key not in ("seconds", "batches")} for size, figures in fixed.items()},
                        "load_average": os.getloadavg(), "missed": missed})
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
