#!/usr/bin/env python3
"""Split models against whole ones: equal answers, and what a second logical CPU device of one core brings.

    parallel.py [equality] [data] [pipeline] [tensor] [memory] [--texts 2000] [--rounds 7] [--benchmark FILE]

equality  every text's vector of TP 2 and 4, PP 2, 3 and 6 and TP x PP 2 x 2 against the network whole in fp32, on the default model and on
          one of 12 layers of random weights that is made here; target: cosine >= 0.99999, the same bits every time
data      one scheduler over two devices against one; target 1.9 times
pipeline  bursts of micro-batches through two stages against one device; target 1.6 times with 8; bubbles are reported beside the bound
          1 - m / (m + s - 1)
tensor    two ranks against one device, for information
memory    what a running server has loaded on each of two devices under PP 2 and TP 2, on both models: the share of the layers' weights, target
          at most 55 % of what one device holds in the same form (stages; kernels pad what they pack) or of what is stored (shards); the embedding
          table beside it; and what is promised against what the worker takes by the system beyond one with a model of some kilobytes, target
          within 10 %, or 4 MiB for models that small, after as many texts as touch most of the table

Needs two cores that nobody else uses: the best round counts, and the load of the machine is printed with each part. Exit status 1 when a
target was missed.
"""
import argparse
import json
import os
import pathlib
import struct
import subprocess
import sys
import time

from harness import EMBED_BENCHMARK, MODEL_DIRECTORY, ROOT, SCRATCH, Server, embeddings_request, fixed_work, json_lines, report, table, text_file, texts
from memory import Peak, own

LAYOUTS = {"TP 2": "1x2", "TP 4": "1x4", "PP 2": "2x1", "PP 3": "3x1", "PP 6": "6x1", "TP x PP 2 x 2": "2x2"}
LOWEST_COSINE, DATA_TARGET, PIPELINE_TARGET = 0.99999, 1.9, 1.6
LAYER_SHARE, LEDGER_TARGET, LEDGER_MEBIBYTES = 0.55, 0.10, 4


def load():
    try:
        return pathlib.Path("/proc/loadavg").read_text().strip()
    except OSError:
        return " ".join(f"{value:.2f}" for value in os.getloadavg())


def engine():
    libraries = sorted((ROOT / ".apus/engine/lib").glob("libonnxruntime.so.*")) + sorted((ROOT / ".apus/engine/lib").glob("libonnxruntime*.dylib"))
    if not libraries:
        sys.exit("the engine is missing; run: make setup")
    return libraries[0]


def random_model():
    directory = SCRATCH / "random-12"
    if not (directory / "model.safetensors").exists():
        subprocess.run([sys.executable, ROOT / "scripts/make_random_encoder.py", directory, "--like", MODEL_DIRECTORY], check=True)
    return directory


def run(arguments, mode, file, *options, model=MODEL_DIRECTORY):
    return json_lines([arguments.benchmark, mode, "--model", model, "--file", file, "--engine", engine(), *options])


def equality(arguments):
    rows, result, met = [], [], True
    for name, model in (("MiniLM", MODEL_DIRECTORY), ("12 random layers", random_model())):
        options = [part for layout in LAYOUTS.values() for part in ("--layout", layout)]
        for title, row in zip(LAYOUTS, run(arguments, "equality", text_file("short", arguments.texts), *options, model=model)):
            good = row["lowest_cosine"] >= LOWEST_COSINE and row["repeats_to_the_bit"] and row["texts"] == arguments.texts
            met = met and good
            result.append({"model": name, "plan": title} | row)
            rows.append([name, title, row["texts"], f"{row['lowest_cosine']:.8f}", str(row["repeats_to_the_bit"]), "yes" if good else "no"])
    table("Split = whole", ["model", "plan", "texts", "lowest cosine", "same bits again", "met"], rows)
    return result, met


def data(arguments):
    rows = run(arguments, "data", text_file("short", arguments.texts), "--rounds", arguments.rounds)
    best = max(rows, key=lambda row: row["speedup"])
    met = best["speedup"] >= DATA_TARGET
    table("Data parallel, two devices of one core", ["", "texts/s one", "texts/s both", "times", "target", "met"],
          [["best of " + str(len(rows)), best["texts"] / min(best["one_seconds"], best["other_seconds"]), best["texts"] / best["both_seconds"],
            f"{best['speedup']:.3f}", DATA_TARGET, "yes" if met else "no"]])
    return rows, met


def pipeline(arguments):
    rows = run(arguments, "pipeline", text_file("mixed", arguments.texts), "--rounds", arguments.rounds)
    cells, met = [], True
    for count in sorted({row["micro_batches"] for row in rows}):
        best = max((row for row in rows if row["micro_batches"] == count), key=lambda row: row["speedup"])
        good = best["speedup"] >= PIPELINE_TARGET
        met = met and (good or count != 8)
        # A slow round whose processor time is that of the best was held up by other processes, one that took more by the cores themselves.
        for row in rows:
            if row["micro_batches"] == count and row["speedup"] < PIPELINE_TARGET:
                print(f"  a round of {row['speedup']:.2f} times took {row['pipeline_cpu_seconds'] / best['pipeline_cpu_seconds']:.2f} times the best round's processor time, "
                      f"{row['pipeline_seconds'] / best['pipeline_seconds']:.2f} times its time")
        cells.append([f"{count} micro-batches", f"{best['speedup']:.3f}", f"{best['bubbles']:.3f}", f"{1 - count / (count + 1):.3f}",
                      " ".join(f"{1000 * seconds:.1f}" for seconds in best["stage_seconds"]), PIPELINE_TARGET, "yes" if good else "no"])
    table("Pipeline of two stages", ["", "times", "bubbles", "bound", "ms busy", "target", "met"], cells)
    return rows, met


def tensor(arguments):
    rows = run(arguments, "tensor", text_file("mixed", arguments.texts), "--rounds", arguments.rounds)
    best = max(rows, key=lambda row: row["speedup"])
    table("Two ranks", ["", "times", "share waiting"], [["best of " + str(len(rows)), f"{best['speedup']:.3f}", f"{best['share_waiting']:.3f}"]])
    return rows, True


def layer_bytes(model):
    """Bytes of the layers' weights, from the header of the file."""
    with open(model / "model.safetensors", "rb") as file:
        header = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
    return sum(entry["data_offsets"][1] - entry["data_offsets"][0] for name, entry in header.items() if ".layer." in name)


def loaded(model, plan, count):
    """What a server says of each of its devices when it has computed, and what its worker took at most by the system."""
    with Server("--model", model, *plan, "--precision", "fp32") as server:
        peak = Peak(server)
        peak.start()
        bodies = texts("mixed", count)
        # Words of many kinds, so that look-ups go all over the table.
        fixed_work(server.port, [embeddings_request(bodies[start:start + 16], model=pathlib.Path(model).name) for start in range(0, count, 16)], 2)
        time.sleep(3)  # memory is looked at every 2 s
        devices = server.get("/v1/devices").json["devices"]
        peak.stop()
        return [device["memory"] for device in devices], own(peak.highest["workers"])


def memory(arguments):
    mebibyte, rows, result, met = 1 << 20, [], [], True
    for title, size in (("PP 2", "--pipeline-parallel"), ("TP 2", "--tensor-parallel")):
        plan = ("--devices", "cpu:2", size, 2)
        _, bare = loaded(ROOT / "Tests/Fixtures/tiny/bert-mean", plan, 64)
        for name, model in (("MiniLM", MODEL_DIRECTORY), ("12 random layers", random_model())):
            devices, most = loaded(model, plan, 3200)
            ((alone,), _) = loaded(model, ("--devices", "cpu:1"), 64)
            whole = alone["weights"]["layers_mb"] if title.startswith("PP") else layer_bytes(model) / mebibyte
            taken = (most - bare) / mebibyte
            shares = [device["weights"]["layers_mb"] / whole for device in devices]
            promised, allocated = (sum(device[key] for device in devices) for key in ("promised_mb", "max_allocated_mb"))
            good = max(shares) <= LAYER_SHARE and abs(promised - taken) <= max(LEDGER_TARGET * taken, LEDGER_MEBIBYTES)
            met = met and good
            result.append({"model": name, "plan": title, "layers_mb": whole, "taken_mb": taken, "devices": devices})
            rows.append([f"{name}, {title}", " ".join(f"{100 * share:.1f} %" for share in shares), " ".join(f"{device['weights']['embedding_mb']:.1f}" for device in devices),
                         " ".join(f"{device['promised_mb']:.1f}" for device in devices), f"{promised:.1f}", f"{allocated:.1f}", f"{taken:.1f}", f"{promised / taken:.3f}", "yes" if good else "no"])
    table("Memory of two devices, MiB (targets: 55 % of the layers each, promised within 10 % of what the system says)",
          ["", "of the layers", "table", "promised", "both", "most allocated", "taken", "ratio", "met"], rows)
    return result, met


PARTS = {"equality": equality, "data": data, "pipeline": pipeline, "tensor": tensor, "memory": memory}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], default=[])
    parser.add_argument("--texts", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--benchmark", type=pathlib.Path, default=EMBED_BENCHMARK.with_name("ParallelBenchmark"))
    arguments = parser.parse_args()
    if arguments.parts != ["memory"] and not arguments.benchmark.exists():
        sys.exit(f"{arguments.benchmark} is missing; run: swift build -c release --product ParallelBenchmark")
    results, met = {}, True
    for name in arguments.parts or PARTS:
        before = load()
        results[name], good = PARTS[name](arguments)
        print(f"  load before: {before}; after: {load()}")
        met = met and good
    report("parallel", results)
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
