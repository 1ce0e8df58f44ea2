#!/usr/bin/env python3
"""Whether memory follows the load down again, and whether the ledger's promise is what the system sees.

    memory.py [--burst 15] [--clients 16] [--settle 20] [--bursts 1] [--devices LIST]

A server is warmed up and left alone, then given long texts and texts as they come, many in a request, and left alone again.
Pss (each page counted once, shared ones in parts) of the front and of its workers is read from the kernel all the while.
Targets: `--settle` seconds after a burst Pss is within 10 % of what it was before the first; the model's promise of the memory
ledger, and the most that was counted as allocated with the buffers kept, are within 10 % of what its worker takes at most beyond one
without a model; and so is what is counted as allocated after the burst of what the worker takes then. Ends with status 1 where one is
missed.
"""
import argparse
import contextlib
import pathlib
import sys
import threading
import time

from configured_server import ConfiguredServer, add_server_arguments, server_arguments
from harness import DEFAULT_MODEL, ROOT, Server, embeddings_request, fixed_work, report, table, texts

MEBIBYTE = 1 << 20
TARGET, LEDGER_TARGET = 1.10, 0.10
TEXTS_PER_REQUEST = 16
# Longer texts are cut at the model's 256 tokens.
LONG_CHARACTERS = 1200
# A burst is to be computed, not refused.
QUEUE = {"batching.max_queue_seconds": 120}


WEIGHT_FILES = (".safetensors", ".onnx", ".data", ".bin")


def pss(pid):
    """Bytes of one process by kind: all of it, what only this machine's memory holds, files, shared memory; and those of its files that are
    weights."""
    kinds = {"Pss": "all", "Pss_Anon": "anonymous", "Pss_File": "files", "Pss_Shmem": "shared"}
    rows = (line.split() for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:])
    sizes = {kinds[row[0][:-1]]: int(row[1]) * 1024 for row in rows if row[0][:-1] in kinds}
    weights, is_weights = 0, False
    for line in pathlib.Path(f"/proc/{pid}/smaps").read_text().splitlines():
        if line[:1].isdigit() or line[:1] in "abcdef":
            is_weights = line.endswith(WEIGHT_FILES)
        elif is_weights and line.startswith("Pss:"):
            weights += int(line.split()[1]) * 1024
    return sizes | {"weights": weights}


def own(kinds):
    """What a process takes for itself: programs and libraries are left out, since other processes that map them make them smaller."""
    return kinds["anonymous"] + kinds["shared"] + kinds["weights"]


def look(server):
    """Pss now: of everything, of the front and of the workers together."""
    front, workers = pss(server.process.pid), []
    for pid in server.processes()[1:]:
        with contextlib.suppress(OSError):  # it may have ended since
            workers.append(pss(pid))
    return {"front": front, "workers": {kind: sum(worker[kind] for worker in workers) for kind in front}}


def whole(seen):
    return seen["front"]["all"] + seen["workers"]["all"]


class Peak(threading.Thread):
    """Looks at a server until it is told to stop, and keeps the highest of what it saw."""

    def __init__(self, server, every=0.25):
        super().__init__(daemon=True)
        self.server, self.every, self.over, self.highest = server, every, threading.Event(), None

    def run(self):
        while not self.over.wait(self.every):
            seen = look(self.server)
            if self.highest is None:
                self.highest = seen
            self.highest = {role: {kind: max(size, self.highest[role][kind]) for kind, size in kinds.items()} for role, kinds in seen.items()}

    def stop(self):
        self.over.set()
        self.join()
        return self.highest


def burst_requests():
    """Requests of long texts and of texts as they come, in turns."""
    lines = texts("mixed", 20_000)
    kinds = [[line for line in lines if len(line) >= LONG_CHARACTERS], lines]
    batches = [[embeddings_request(kind[start:start + TEXTS_PER_REQUEST]) for start in range(0, 64 * TEXTS_PER_REQUEST, TEXTS_PER_REQUEST)]
               for kind in kinds]
    return [request for pair in zip(*batches) for request in pair]


def until(deadline, requests):
    number = 0
    while time.monotonic() < deadline:
        yield requests[number % len(requests)]
        number += 1


def measure(server, arguments):
    requests = burst_requests()
    result = {"at rest": look(server), "bursts": []}
    fixed_work(server.port, until(time.monotonic() + arguments.warm_up, requests), arguments.clients)
    time.sleep(arguments.settle)
    result["before"] = look(server)
    for _ in range(arguments.bursts):
        peak = Peak(server)
        peak.start()
        seconds, latencies = fixed_work(server.port, until(time.monotonic() + arguments.burst, requests), arguments.clients)
        burst = {"texts_per_second": len(latencies) * TEXTS_PER_REQUEST / seconds, "peak": peak.stop()}
        end = time.monotonic()
        for after in sorted({0.5, 5.0, arguments.settle}):
            time.sleep(max(0.0, end + after - time.monotonic()))
            burst[f"after {after:g} s"] = look(server)
        result["bursts"].append(burst)
    result["ratio"] = whole(burst[f"after {arguments.settle:g} s"]) / whole(result["before"])
    return result


def memory_of(server):
    """What /v1/devices says of the devices whose workers do the work, added up, in bytes."""
    devices = [device["memory"] or {} for device in server.get("/v1/devices").json["devices"]]
    serving = [memory for memory in devices if "worker_mb" in memory]
    sizes = {name: sum(memory[f"{name}_mb"] for memory in serving) * MEBIBYTE for name in ("promised", "allocated", "reserved", "max_allocated")}
    buffers = {name: sum(memory["buffers"][name] for memory in serving) for name in ("hits", "misses")}
    return sizes | {"buffers": buffers, "held": sum(memory["buffers"]["held_mb"] for memory in serving) * MEBIBYTE}


def ledger(said, burst, last, without):
    """What was promised the model and what is counted of it, beside what the workers took for it: at most, and after the burst, less what
    they take without it."""
    most, after = (own(seen["workers"]) - own(without) for seen in (burst["peak"], burst[last]))
    return {
        "promised": (said["promised"], most), "most allocated": (said["max_allocated"], most), "allocated": (said["allocated"], after),
    }


def workers_without_model(arguments):
    """Pss of workers that hold a model of some kilobytes and have computed with it: the engine, its code and the process itself."""
    with Server("--model", ROOT / "Tests/Fixtures/tiny/bert-mean", *server_arguments(arguments)) as server:
        fixed_work(server.port, [embeddings_request(text, model="bert-mean") for text in texts("short", 200)], 4)
        return look(server)["workers"]


def rows(result):
    def row(name, seen):
        return [name] + [size / MEBIBYTE for size in (
            whole(seen), seen["front"]["all"], seen["workers"]["all"], seen["workers"]["anonymous"], seen["workers"]["files"],
            seen["workers"]["shared"])]
    yield row("at rest", result["at rest"])
    yield row("before", result["before"])
    for number, burst in enumerate(result["bursts"], 1):
        for name, seen in burst.items():
            if isinstance(seen, dict):
                yield row(f"burst {number}: {name}", seen)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--burst", type=float, default=15.0)
    parser.add_argument("--warm-up", type=float, default=4.0)
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--settle", type=float, default=20.0)
    parser.add_argument("--bursts", type=int, default=1)
    add_server_arguments(parser)
    arguments = parser.parse_args()
    without = workers_without_model(arguments)
    with ConfiguredServer(QUEUE | dict(arguments.settings), *server_arguments(arguments)) as server:
        result = measure(server, arguments)
        # Memory is looked at every few seconds.
        said = result["said"] = memory_of(server)
    book = result["ledger"] = ledger(said, result["bursts"][-1], f"after {arguments.settle:g} s", without)
    table("Pss, MiB", ["", "all", "front", "workers", "anonymous", "files", "shared"], list(rows(result)))
    ratios = {name: counted / taken for name, (counted, taken) in book.items()}
    follows, is_true = result["ratio"] <= TARGET, all(abs(ratio - 1) <= LEDGER_TARGET for ratio in ratios.values())
    table(f"Memory after the load (target {TARGET}x before)", ["", "ratio", "texts/s", "met"],
          [["long texts", f"{result['ratio']:.3f}", result["bursts"][-1]["texts_per_second"], "yes" if follows else "no"]])
    table(f"What is counted of {DEFAULT_MODEL} against the system, MiB (target within 10 %; {own(without) / MEBIBYTE:.1f} MiB without a model)",
          ["", "counted", "taken", "ratio", "met"],
          [[name, counted / MEBIBYTE, taken / MEBIBYTE, f"{ratios[name]:.3f}", "yes" if abs(ratios[name] - 1) <= LEDGER_TARGET else "no"]
           for name, (counted, taken) in book.items()])
    table("Storage of tensors", ["used again", "new", "kept, MiB"], [[said["buffers"]["hits"], said["buffers"]["misses"], said["held"] / MEBIBYTE]])
    report("memory", result)
    sys.exit(0 if follows and is_true else 1)


if __name__ == "__main__":
    main()
