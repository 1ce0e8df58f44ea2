#!/usr/bin/env python3
"""Runs the benchmarks one after the other and prints their tables.

    run.py [accuracy] [throughput] [http] [latency] [startup] [boundary] [kill] [drain] [overdue] [--long]        (default: all)

Workers are killed for a minute, with --long for ten. Settings by environment: APUS_CORPORA (folder with short.txt and mixed.txt), APUS_BENCH_FOLDER (scratch and results).
"""
import pathlib
import platform
import subprocess
import sys

from harness import CORPORA, SCRATCH, THREADS

PROGRAMS = {"accuracy": ["accuracy.py"], "throughput": ["throughput.py"], "http": ["http_throughput.py"], "latency": ["latency.py"],
            "startup": ["startup_memory.py"], "boundary": ["boundary.py"], "kill": ["kill_workers.py", "--seconds", "60"], "drain": ["drain.py"],
            "overdue": ["overdue.py"]}
LONG = {"kill": ["kill_workers.py", "--seconds", "600"]}
HERE = pathlib.Path(__file__).resolve().parent


def main():
    programs = PROGRAMS | LONG if "--long" in sys.argv[1:] else PROGRAMS
    chosen = [name for name in sys.argv[1:] if name != "--long"] or list(PROGRAMS)
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
