#!/usr/bin/env python3
"""Kills a process that writes a collection, again and again, and looks what is left.

    kill_index.py [--kills 200] [--folder FOLDER] [--seed N]

CollectionBenchmark writes with three writers at once (replacing, deleting) and compacts meanwhile; it tells each operation before it begins and when it
was acknowledged. After a random time it gets SIGKILL. Then: SQLite's own integrity_check, the collection opens and verifies itself, every
vector is the one that its document's version has, every operation that was acknowledged is there, and of each that was not, all or nothing.

Target: 0 failed opens, 0 wrong vectors, 0 acknowledged documents missing.
"""
import argparse
import collections
import os
import pathlib
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time

from harness import BINARY, environment, report, table

BENCHMARK = os.environ.get("APUS_COLLECTION_BENCHMARK", BINARY.parent / "CollectionBenchmark")


class Ledger:
    """What every document must be, by what was acknowledged, and what each writer had in flight."""

    def __init__(self):
        self.documents, self.pending, self.acknowledged = {}, {}, 0

    def line(self, text):
        kind, *rest = text.split()
        if kind == "t":
            writer, operation, version, first, count = rest[0], rest[1], *map(int, rest[2:])
            ids = [f"{writer}-{number}" for number in range(first, first + count)]
            self.pending[writer] = (ids, None if operation == "d" else version)
        elif kind == "a":
            self.apply(*self.pending.pop(rest[0]))
            self.acknowledged += 1

    def apply(self, ids, version):
        for name in ids:
            if version is None:
                self.documents.pop(name, None)
            else:
                self.documents[name] = version

    def settle(self, stored):
        """Missing and wrong documents and torn operations; what was in flight counts as it turned out."""
        torn = 0
        for ids, version in self.pending.values():
            if all(stored.get(name) == version for name in ids):
                self.apply(ids, version)
            elif any(stored.get(name) != self.documents.get(name) for name in ids):
                torn += 1
        self.pending = {}
        missing = sum(1 for name in self.documents if name not in stored)
        other = sum(1 for name, version in stored.items() if self.documents.get(name) != version)
        self.documents = dict(stored)
        return missing, other, torn


def write_and_kill(folder, kill, generator, ledger):
    """Runs the writer for a random time behind its first word; returns how long."""
    process = subprocess.Popen([BENCHMARK, "write", folder, str(kill), "3000"], stdout=subprocess.PIPE, env=environment())
    os.set_blocking(process.stdout.fileno(), True)
    first = process.stdout.readline()
    if not first.startswith(b"o "):
        process.kill()
        process.wait()
        return None
    seconds = generator.choice([0.002, 0.02, 0.1, 0.3, 0.6]) * generator.uniform(0.5, 1.5)
    killer = subprocess.Popen(["sleep", f"{seconds:.4f}"])
    killer.wait()
    process.send_signal(signal.SIGKILL)
    # What it had told before it died; a last line may be cut short.
    rest = process.stdout.read().split(b"\n")
    process.wait()
    for text in rest[:-1]:
        ledger.line(text.decode())
    return seconds


def check(folder):
    """The documents by id with their versions, the number of wrong vectors, and why the collection could not be read."""
    path = pathlib.Path(folder) / "collections/killed/documents.sqlite"
    result = subprocess.run([BENCHMARK, "check", folder], capture_output=True, text=True, env=environment())
    lines = result.stdout.splitlines()
    if result.returncode or not lines or not lines[-1].startswith("checked "):
        return {}, 0, result.stderr.strip() or "no answer"
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as database:
        found = database.execute("PRAGMA integrity_check").fetchall()
    if found != [("ok",)]:
        return {}, 0, f"integrity_check: {found[:3]}"
    return {name: int(version) for name, version in (line.split() for line in lines[:-1])}, int(lines[-1].split()[2]), None


def run(kills, folder, seed):
    generator, ledger = random.Random(seed), Ledger()
    counts, largest, started = collections.Counter(), 0, time.monotonic()
    for kill in range(1, kills + 1):
        if write_and_kill(folder, kill, generator, ledger) is None:
            counts["opens failed"] += 1
            break
        stored, wrong, failure = check(folder)
        if failure:
            print(f"kill {kill}: {failure}", file=sys.stderr)
            counts["opens failed"] += 1
            break
        missing, other, torn = ledger.settle(stored)
        if wrong or missing or other or torn:
            print(f"kill {kill}: {wrong} wrong, {missing} missing, {other} in another version, {torn} torn", file=sys.stderr)
        counts.update({"kills": 1, "wrong vectors": wrong, "acknowledged documents missing": missing,
                       "documents in another version": other, "operations in part": torn})
        largest = max(largest, len(stored))
    figures = {name: counts[name] for name in ("kills", "opens failed", "wrong vectors", "acknowledged documents missing",
                                               "documents in another version", "operations in part")}
    figures |= {"operations acknowledged": ledger.acknowledged, "documents at most": largest,
                "seconds": round(time.monotonic() - started, 1)}
    bad = kills - counts["kills"] + sum(counts[name] for name in figures if name in counts and name != "kills")
    return figures, bad


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--folder", help="a data folder to use and keep (default: a temporary one)")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    options = parser.parse_args()
    if not pathlib.Path(BENCHMARK).exists():
        sys.exit(f"{BENCHMARK} is missing; run: swift build -c release --product CollectionBenchmark")
    folder = options.folder or tempfile.mkdtemp(prefix="apus-kill-index-")
    print(f"seed {options.seed}")
    try:
        figures, bad = run(options.kills, folder, options.seed)
    finally:
        if not options.folder:
            shutil.rmtree(folder, ignore_errors=True)
    table("kill -9 while a collection is written", ["what", "count"], [[name, value] for name, value in figures.items()])
    report("kill_index", figures)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
