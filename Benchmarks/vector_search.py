#!/usr/bin/env python3
"""Exact top-10 over 1,000,000 x 384 vectors beside numpy and faiss, in one run and in turns.

    vector_search.py [--rows 1000000] [--rounds 7] [--queries 64] [--embeddings A.npy B.npy …]

Every round asks each program once, so that what disturbs the machine disturbs all alike;
medians of the rounds are compared. With `--embeddings` (from `apus embed --output`) the vectors are those, repeated with noise up to the
number of rows, and the queries are rows that were held back; without, they are clusters of random unit vectors. Recall is counted against faiss.

Targets: one query >= 80 % of the measured read bandwidth, >= 0.85 x numpy's matrix-vector product and argpartition, >= 1.6 x faiss;
int8 >= 3 x our fp32 at recall@10 >= 0.99; 64 queries at once >= 8 x faiss; a cache hit <= 10 us.
"""
import argparse
import json
import os
import subprocess
import sys
import time

import numpy as np

from harness import BINARY, SCRATCH, THREADS, median, report, table

BENCHMARK = os.environ.get("APUS_VECTOR_BENCHMARK", BINARY.parent / "VectorBenchmark")
K, PART, HELD_BACK, NOISE = 10, 20_000, 512, 0.02
# Before each measurement of anybody: threads of OpenMP and OpenBLAS wait for more work at full speed, some for tens of milliseconds, and would
# do so in the turn of whoever comes next.
PAUSE = 0.1


def normalised(rows):
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


class Data:
    """The vectors in a file, and the queries; made part by part, so that there is never a copy in memory."""

    def __init__(self, rows, embeddings):
        self.folder = SCRATCH / "vectors"
        self.folder.mkdir(parents=True, exist_ok=True)
        self.path, self.query_path = self.folder / "rows.f32", self.folder / "queries.f32"
        generator = np.random.default_rng(7)
        if embeddings:
            base = normalised(np.concatenate([np.load(path) for path in embeddings]))
            order = generator.permutation(len(base))
            self.queries, base = base[order[:HELD_BACK]], base[order[HELD_BACK:]]
            self.what = f"{len(base)} embeddings of real texts, repeated with noise"
        else:
            centres = normalised(generator.standard_normal((4096, 384)))
            base = None
            self.what = "random clusters"
            self.queries = self.around(generator, centres[generator.integers(0, 4096, HELD_BACK)], 0.04)
        self.dimensions = self.queries.shape[1]
        with open(self.path, "wb") as file:
            for start in range(0, rows, PART):
                count = min(PART, rows - start)
                if base is None:
                    part = self.around(generator, centres[generator.integers(0, 4096, count)], 0.04)
                else:
                    part = base[np.arange(start, start + count) % len(base)]
                    # The first repetition is what the model gave.
                    fresh = max(0, min(count, len(base) - start))
                    part[fresh:] = self.around(generator, part[fresh:], NOISE)
                file.write(part.tobytes())
        self.query_path.write_bytes(self.queries.tobytes())

    @staticmethod
    def around(generator, rows, deviation):
        return normalised(rows + deviation * generator.standard_normal(rows.shape, dtype=np.float32))

    def parts(self, rows):
        with open(self.path, "rb") as file:
            for start in range(0, rows, PART):
                yield np.fromfile(file, np.float32, min(PART, rows - start) * self.dimensions).reshape(-1, self.dimensions)


class Apus:
    def __init__(self, data, storage):
        self.process = subprocess.Popen(
            [str(BENCHMARK), "--vectors", data.path, "--queries", data.query_path, "--dimensions", str(data.dimensions), "--storage", storage,
             "--threads", str(THREADS)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.bytes = self.answer()["bytes"]

    def answer(self):
        line = self.process.stdout.readline()
        if not line:
            sys.exit(f"VectorBenchmark ended with status {self.process.wait()}")
        return json.loads(line)

    def ask(self, command):
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()
        return self.answer()

    def seconds(self, queries):
        return self.ask(f"search {queries} {K}")["seconds"]

    def end(self):
        self.process.stdin.close()
        self.process.wait()


class Peers:
    """faiss, and numpy over the very memory that faiss keeps its vectors in."""

    def __init__(self, data, rows):
        import faiss
        faiss.omp_set_num_threads(THREADS)
        self.index = faiss.IndexFlatIP(data.dimensions)
        for part in data.parts(rows):
            self.index.add(part)
        self.matrix = faiss.rev_swig_ptr(self.index.get_xb(), rows * data.dimensions).reshape(rows, data.dimensions)
        self.queries = data.queries

    def faiss(self, queries):
        start = time.perf_counter()
        self.index.search(self.queries[:queries], K)
        return time.perf_counter() - start

    def numpy(self):
        start = time.perf_counter()
        scores = self.matrix @ self.queries[0]
        best = np.argpartition(scores, -K)[-K:]
        best[np.argsort(-scores[best])]
        return time.perf_counter() - start

    def truth(self):
        return self.index.search(self.queries, K)[1]


def recall(found, truth):
    return float(np.mean([len(set(a) & set(b)) / K for a, b in zip(found, truth.tolist())]))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--queries", type=int, default=64)
    parser.add_argument("--embeddings", nargs="*", default=[])
    arguments = parser.parse_args()
    data = Data(arguments.rows, arguments.embeddings)
    load_before = os.getloadavg()
    peers, fp32, int8 = Peers(data, arguments.rows), Apus(data, "fp32"), Apus(data, "int8")
    times = {name: [] for name in ("apus", "numpy", "faiss", "apus int8", "apus batch", "faiss batch", "apus int8 batch")}
    bandwidth = []
    for number in range(arguments.rounds + 1):
        # One query is soon done: more turns tell more.
        turns = 5 * [("apus", lambda: fp32.seconds(1)), ("numpy", peers.numpy), ("faiss", lambda: peers.faiss(1)),
                     ("apus int8", lambda: int8.seconds(1))]
        turns += [("apus batch", lambda: fp32.seconds(arguments.queries)), ("faiss batch", lambda: peers.faiss(arguments.queries)),
                  ("apus int8 batch", lambda: int8.seconds(arguments.queries))]
        measured = []
        for name, ask in turns:
            time.sleep(PAUSE)
            measured.append((name, ask()))
        time.sleep(PAUSE)
        read = fp32.ask("read")["bytes_per_second"]
        if number == 0:
            continue  # The first round warms up.
        bandwidth.append(read)
        for name, seconds in measured:
            times[name].append(seconds)
    truth = peers.truth()
    recalls = {name: recall(program.ask(f"hits {HELD_BACK} {K}")["rows"], truth) for name, program in (("fp32", fp32), ("int8", int8))}
    hit = fp32.ask("cache 200000")["seconds"]
    fp32.end()
    int8.end()
    size = arguments.rows * data.dimensions * 4

    def ratios(of_times, of_rates):
        time = {name: of_times(values) for name, values in times.items()}
        return [size / time["apus"] / of_rates(bandwidth), time["numpy"] / time["apus"], time["faiss"] / time["apus"],
                time["apus"] / time["apus int8"], recalls["int8"], time["faiss batch"] / time["apus batch"], 1e-5 / hit]

    names = ["share of the read bandwidth", "x numpy", "x faiss", "int8 x our fp32", "int8 recall@10",
             f"{arguments.queries} queries x faiss", "cache hits in 10 us"]
    # What each program does at its best, beside the medians: on a machine that others use, the latter tell more about them.
    figures = list(zip(names, ratios(median, median), ratios(min, max), [0.80, 0.85, 1.6, 3.0, 0.99, 8.0, 1.0]))
    table(f"Exact top-{K} over {arguments.rows:,} x {data.dimensions} ({data.what}), {THREADS} threads, ms",
          ["", "median", "best"], [[name, 1e3 * median(values), 1e3 * min(values)] for name, values in times.items()])
    table("Targets", ["", "medians", "best", "target", "met"],
          [[name, f"{value:.3f}", f"{best:.3f}", f"{target:.2f}", "yes" if value >= target else "no"] for name, value, best, target in figures])
    report("vector_search", {
        "rows": arguments.rows, "vectors": data.what, "seconds": times, "read_bytes_per_second": bandwidth, "recall": recalls,
        "cache_hit_seconds": hit, "figures": {name: [value, best] for name, value, best, _ in figures}, "load": [load_before, os.getloadavg()]})


if __name__ == "__main__":
    main()
