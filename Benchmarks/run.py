#!/usr/bin/env python3
"""Runs the benchmarks one after the other and prints their tables.

    run.py [accuracy] [throughput] [http] [latency] [startup] [memory] [boundary] [kill] [drain] [overdue] [batching] [idle] [priorities] [overload] [adaptive]
           [report] [precision] [segments] [parallel] [plans] [vectors] [indexing] [kill-index] [--long | --quick]        (default: all)

Workers are killed for a minute, with --long for ten; with --quick those that can be short are. report writes report.html, which draws latency against
load and the adaptive run. Settings by environment: APUS_CORPORA (folder with short.txt and mixed.txt), APUS_BENCH_FOLDER (scratch and results).
"""
import pathlib
import platform
import subprocess
import sys

from harness import CORPORA, SCRATCH, THREADS

PROGRAMS = {"accuracy": ["accuracy.py"], "throughput": ["throughput.py"], "http": ["http_throughput.py"], "latency": ["latency.py"],
            "startup": ["startup_memory.py"], "memory": ["memory.py"], "boundary": ["boundary.py"], "kill": ["kill_workers.py", "--seconds", "60"], "drain": ["drain.py"],
            "overdue": ["overdue.py"], "batching": ["dynamic_batching.py"], "idle": ["idle_wait.py"], "priorities": ["priorities.py"],
            "overload": ["overload.py"], "adaptive": ["adaptive.py"], "report": ["report.py"], "precision": ["precision_accuracy.py"], "segments": ["segments.py"],
            "parallel": ["parallel.py"], "plans": ["plan_failures.py"], "vectors": ["vector_search.py"], "indexing": ["indexing.py"], "kill-index": ["kill_index.py"]}
LONG = {"kill": ["kill_workers.py", "--seconds", "600"]}
QUICK = {name: [*PROGRAMS[name], "--quick"] for name in ("batching", "idle", "priorities", "overload", "adaptive", "report")}
OPTIONS = {"--long": LONG, "--quick": QUICK}
HERE = pathlib.Path(__file__).resolve().parent


def main():
    programs, chosen = dict(PROGRAMS), [name for name in sys.argv[1:] if name not in OPTIONS] or list(PROGRAMS)
    for option in OPTIONS:
        if option in sys.argv[1:]:
            programs |= OPTIONS[option]
    unknown = [name for name in chosen if name not in PROGRAMS]
    if unknown:
        print(f"unknown benchmark {', '.join(unknown)}\n{__doc__}", file=sys.stderr)
        return 2
    if not (CORPORA / "short.txt").exists() or not (CORPORA / "mixed.txt").exists():
        subprocess.run([sys.executable, HERE / "make_corpora.py", CORPORA], check=True)
    print(f"{platform.machine()}, {THREADS} cores; results are kept in {SCRATCH}", flush=True)
    failed = [name for name in chosen if subprocess.run([sys.executable, HERE / programs[name][0], *programs[name][1:]]).returncode]
    if failed:
        print(f"did not finish or did not meet its target: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
