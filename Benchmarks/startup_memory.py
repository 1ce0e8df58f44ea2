#!/usr/bin/env python3
"""Start to ready, and memory (Pss of all processes) at rest and after many requests.

    startup_memory.py [--starts 5] [--requests 20000]

Targets: ready within 1.5 s (the first start, which measures and caches, is not counted), at rest the weights plus 120 MB,
and flat from the first thousand requests to the last.
"""
import argparse

from harness import MODEL_DIRECTORY, Server, embeddings_request, fixed_work, median, report, table, texts

MEBIBYTE = 1 << 20


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--starts", type=int, default=5)
    parser.add_argument("--requests", type=int, default=20_000)
    arguments = parser.parse_args()
    weights = (MODEL_DIRECTORY / "model.safetensors").stat().st_size / MEBIBYTE

    with Server() as server:
        first = server.until_ready
    starts = []
    for _ in range(arguments.starts):
        with Server() as server:
            starts.append(server.until_ready)

    requests = [embeddings_request(text) for text in texts("short")]
    memory = {}
    with Server() as server:
        fixed_work(server.port, requests[:1], 1)
        memory["rest"] = server.pss_bytes() / MEBIBYTE
        done, goal = 0, 1000
        while done < arguments.requests:
            step = min(goal - done if done < goal else len(requests), arguments.requests - done, len(requests))
            fixed_work(server.port, requests[:step])
            done += step
            memory[str(done)] = server.pss_bytes() / MEBIBYTE
    settled = memory.get("1000", memory["rest"])
    last = memory[str(arguments.requests)]
    table("Start-up, s (target 1.5)", ["", "first", "median", "worst", "met"],
          [["start to ready", f"{first:.2f}", f"{median(starts):.2f}", f"{max(starts):.2f}", "yes" if median(starts) <= 1.5 else "no"]])
    table("Memory, Pss in MiB", ["", "weights", "at rest", "over weights", "after 1,000", f"after {arguments.requests:,}", "met"],
          [["one process", weights, memory["rest"], memory["rest"] - weights, settled, last,
            "yes" if memory["rest"] - weights <= 120 and last - settled <= 8 else "no"]])
    report("startup_memory", {"first_s": first, "starts_s": starts, "weights_mib": weights, "pss_mib": memory})


if __name__ == "__main__":
    main()
