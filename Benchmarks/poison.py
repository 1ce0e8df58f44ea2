#!/usr/bin/env python3
"""What one input that cannot be computed costs the 31 others of its batch.

    poison.py [--requests 60] [--quick]

A model whose tokenizer knows a word that its network has no embedding for: the engine refuses every batch with it, and the server takes the
batch apart until the word is alone. Healthy and poisoned requests of 32 texts alternate on one connection to a server with one lane. Target: 31
right answers and 1 error, and at most 6 runs of the whole batch added. Exit status 1 when the target is missed.
"""
import argparse
import json
import pathlib
import shutil
import sys
import tempfile
import time

from configured_server import ConfiguredServer
from harness import Client, median, report, table

FIXTURE = pathlib.Path(__file__).resolve().parents[1] / "Tests/Fixtures/tiny/onnx-bert"
WORD, SIZE, PLACE, MOST_RUNS = "zzzpoisonzzz", 32, 13, 6


def poisoned_model(folder):
    directory = pathlib.Path(folder, "poisoned")
    shutil.copytree(FIXTURE, directory)
    path = directory / "tokenizer.json"
    tokenizer = json.loads(path.read_text(encoding="utf-8"))
    tokenizer["model"]["vocab"][WORD] = len(tokenizer["model"]["vocab"])
    path.write_text(json.dumps(tokenizer, ensure_ascii=False), encoding="utf-8")
    return directory


def request(texts):
    body = json.dumps({"model": "poisoned", "input": texts, "partial": True, "provenance": True}).encode()
    head = f"POST /v1/embeddings HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def ask(client, texts):
    """The answer's entries and provenance, and its latency in milliseconds."""
    client.send(request(texts))
    while not client.receive():
        pass
    milliseconds = 1e3 * (time.perf_counter() - client.sent_at)
    return json.loads(client.received.partition(b"\r\n\r\n")[2]), milliseconds


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--requests", type=int, default=60)
    parser.add_argument("--quick", action="store_true", help="10 requests of each kind")
    arguments = parser.parse_args()
    count = 10 if arguments.quick else arguments.requests
    text = "one of many texts of a batch that are all as long as each other and long enough to cost something number"
    healthy, poisoned, runs, wrong = [], [], [], 0
    with tempfile.TemporaryDirectory() as folder:
        with ConfiguredServer({"batching.token_budget": 4096}, "--model", poisoned_model(folder), "--devices", "cpu:1") as server:
            client = Client(server.port)
            for number in range(count + 5):
                texts = [f"{text} {number} {row}" for row in range(SIZE)]
                answer, milliseconds = ask(client, texts)
                expected = [entry["embedding"] for entry in answer["data"]]
                run = max(entry["run_ms"] for entry in answer["provenance"])
                texts[PLACE] = WORD
                answer, slow = ask(client, texts)
                for row, entry in enumerate(answer["data"]):
                    if row == PLACE:
                        wrong += entry["object"] != "error"
                    else:
                        wrong += entry["object"] != "embedding" or max(
                            abs(a - b) for a, b in zip(entry["embedding"], expected[row])) > 1e-5
                # The first pairs warm up.
                if number >= 5:
                    healthy.append(milliseconds)
                    poisoned.append(slow)
                    runs.append(run)
    added = (median(poisoned) - median(healthy)) / median(runs)
    met = wrong == 0 and added <= MOST_RUNS
    table("A poisoned input among 31 others, one lane", ["", "p50 ms", "in runs", "target", "met"], [
        ["32 healthy", f"{median(healthy):.2f}", "", "", ""],
        ["31 and the poisoned one", f"{median(poisoned):.2f}", f"+{added:.1f}", f"+{MOST_RUNS}", "yes" if met else "no"],
        ["wrong answers", "", str(wrong), "0", "yes" if wrong == 0 else "no"]])
    report("poison", {"healthy_ms": median(healthy), "poisoned_ms": median(poisoned), "run_ms": median(runs), "added_runs": added,
                      "wrong": wrong, "requests": count})
    sys.exit(0 if met else 1)


if __name__ == "__main__":
    main()
