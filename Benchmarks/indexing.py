#!/usr/bin/env python3
"""How fast a file is indexed, beside embedding alone; what searches take while somebody writes, and with filters.

    indexing.py [--texts 60004] [--rounds 3] [--rows 20000] [--seconds 4] [--filtered 200000] [--precision fp32] [--only index|search|filters]

`apus index` and `apus embed --output` of the same file in turns, both whole programs; medians of the rounds are compared. Then one process
searches a collection of 384 dimensions one query after the other, in turns with and without a task that replaces documents as fast as it
can: the 99th percentile of each kind of turn.

Filters are timed beside what SQLite takes to look into the JSON of every document, which the index of metadata saves.

Targets: indexing >= 95 % of embedding; p99 of searches while writing <= 2 x idle.
"""
import argparse
import json
import os
import resource
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time

from harness import BINARY, MODEL_DIRECTORY, environment, json_lines, median, percentile, report, table, text_file

BENCHMARK = os.environ.get("APUS_COLLECTION_BENCHMARK", BINARY.parent / "CollectionBenchmark")


def cpu_seconds():
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def timed(*command):
    """Seconds, seconds of all cores together, and what the program printed."""
    started, cpu = time.monotonic(), cpu_seconds()
    result = subprocess.run([str(part) for part in command], env=environment(), capture_output=True, text=True)
    if result.returncode:
        sys.exit(f"{' '.join(map(str, command))}: {result.stderr}")
    return time.monotonic() - started, cpu_seconds() - cpu, result.stdout


def index_and_embed(options, folder):
    path = text_file("short", options.texts)
    flags = ["--model", MODEL_DIRECTORY, "--precision", options.precision]
    embedding, indexing, again, cpu = [], [], [], {"embed": [], "index": []}
    for number in range(options.rounds):
        seconds, cores, _ = timed(BINARY, "embed", "--file", path, "--output", f"{folder}/vectors.npy", *flags)
        embedding.append(seconds)
        cpu["embed"].append(cores)
        command = [BINARY, "index", path, "--into", "short", "--data", f"{folder}/{number}", "--json", *flags]
        seconds, cores, _ = timed(*command)
        indexing.append(seconds)
        cpu["index"].append(cores)
        seconds, _, answer = timed(*command)
        again.append(seconds)
        if json.loads(answer)["added"] + json.loads(answer)["replaced"]:
            sys.exit(f"the second run wrote again: {answer}")
        print(f"round {number + 1}: embed {embedding[-1]:.2f} s, index {indexing[-1]:.2f} s, again {again[-1]:.2f} s, "
              f"load {open('/proc/loadavg').read().strip()}", flush=True)
        shutil.rmtree(f"{folder}/{number}")
    share = median(embedding) / median(indexing)
    table(f"{options.texts} texts, {options.precision}, whole programs", ["what", "seconds", "texts/s"], [
        ["apus embed", median(embedding), options.texts / median(embedding)], ["apus index", median(indexing), options.texts / median(indexing)],
        ["apus index, unchanged", median(again), options.texts / median(again)]])
    work = min(cpu["embed"]) / min(cpu["index"])
    print(f"  indexing is {share:.1%} of embedding by the clock, {work:.1%} by the seconds of all cores (which a busy machine leaves alone)")
    return {"share_of_cpu": work, "embed_s": median(embedding), "index_s": median(indexing), "unchanged_s": median(again), "share": share,
            "embed_best_s": min(embedding), "index_best_s": min(indexing)}


def search_while_writing(options, folder):
    turns = json_lines([BENCHMARK, "latency", folder, options.rows, options.seconds])
    rows, figures = [], {}
    for writing in (False, True):
        # The kinds take turns; the medians of the turns' figures leave out what disturbed one of them.
        chosen = [turn for turn in turns if turn["writing"] == writing]
        p50, p99 = (median([percentile(turn["milliseconds"], share) for turn in chosen]) for share in (0.5, 0.99))
        rate = median([turn["documents_per_second"] for turn in chosen])
        name = "writing" if writing else "idle"
        rows.append([name, p50, p99, sum(len(turn["milliseconds"]) for turn in chosen), rate])
        figures |= {f"{name}_p50_ms": p50, f"{name}_p99_ms": p99}
    figures["p99_ratio"] = figures["writing_p99_ms"] / figures["idle_p99_ms"]
    table(f"searches over {options.rows} x 384", ["while", "p50 ms", "p99 ms", "searches", "documents written/s"], rows)
    print(f"  p99 while writing is {figures['p99_ratio']:.2f} x idle; load {open('/proc/loadavg').read().strip()}")
    return figures


# Each with what SQLite would be asked without an index.
FILTERS = {
    "": None,
    '{"number":777}': "json_extract(m, '$.number') = 777",
    '{"$and":[{"genre":"g3"},{"number":{"$lt":5000}}]}': "json_extract(m, '$.genre') = 'g3' AND json_extract(m, '$.number') < 5000",
    '{"year":{"$gte":2010}}': "json_extract(m, '$.year') >= 2010",
    '{"genre":{"$ne":"g3"}}': "json_extract(m, '$.genre') IS NOT 'g3'",
}


def filtered_search(options, folder):
    started = time.monotonic()
    measured = json_lines([BENCHMARK, "filters", folder, options.filtered, *FILTERS])
    print(f"  {options.filtered} documents stored and searched in {time.monotonic() - started:.1f} s")
    rows, figures = [], {}
    with sqlite3.connect(f"file:{folder}/collections/filtered/documents.sqlite?mode=ro", uri=True) as database:
        for (name, condition), search in zip(FILTERS.items(), measured):
            scan = None
            if condition:
                started = time.monotonic()
                database.execute(f"SELECT count(*) FROM (SELECT CAST(metadata AS TEXT) AS m FROM documents) WHERE {condition}").fetchone()
                scan = 1000 * (time.monotonic() - started)
            rows.append([name or "no filter", search["milliseconds"], scan if scan is not None else ""])
            figures[name or "none"] = {"search_ms": search["milliseconds"], "json_scan_ms": scan}
    table(f"searches over {options.filtered} x 64 with filters", ["filter", "search ms", "JSON of every document alone, ms"], rows)
    return {"filters": figures}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--texts", type=int, default=60_004)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--filtered", type=int, default=200_000)
    parser.add_argument("--precision", default="fp32")
    parser.add_argument("--only", choices=["index", "search", "filters"])
    options = parser.parse_args()
    figures, bad = {}, False
    with tempfile.TemporaryDirectory(prefix="apus-indexing-") as folder:
        if options.only in (None, "index"):
            figures |= index_and_embed(options, folder)
            bad |= figures["share"] < 0.95
        if options.only in (None, "search"):
            figures |= search_while_writing(options, folder)
            bad |= figures["p99_ratio"] > 2
        if options.only in (None, "filters"):
            figures |= filtered_search(options, folder)
    report("indexing", figures)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
