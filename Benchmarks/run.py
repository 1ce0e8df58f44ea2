#!/usr/bin/env python3
"""Runs the benchmarks one after the other and prints their tables.

    run.py [accuracy] [throughput] [http] [latency] [startup]        (default: all)

Settings by environment: APUS_CORPORA (folder with short.txt and mixed.txt), APUS_BENCH_FOLDER (scratch and results).
"""
import pathlib
import platform
import subprocess
import sys

from harness import CORPORA, SCRATCH, THREADS

PROGRAMS = {"accuracy": "accuracy.py", "throughput": "throughput.py", "http": "http_throughput.py", "latency": "latency.py",
            "startup": "startup_memory.py"}
HERE = pathlib.Path(__file__).resolve().parent


def main():
    chosen = sys.argv[1:] or list(PROGRAMS)
    unknown = [name for name in chosen if name not in PROGRAMS]
    if unknown:
        print(f"unknown benchmark {', '.join(unknown)}\n{__doc__}", file=sys.stderr)
        return 2
    if not (CORPORA / "short.txt").exists() or not (CORPORA / "mixed.txt").exists():
        subprocess.run([sys.executable, HERE / "make_corpora.py", CORPORA], check=True)
    print(f"{platform.machine()}, {THREADS} cores; results are kept in {SCRATCH}", flush=True)
    failed = [name for name in chosen if subprocess.run([sys.executable, HERE / PROGRAMS[name]]).returncode]
    if failed:
        print(f"did not finish or did not meet its target: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
