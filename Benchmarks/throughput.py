#!/usr/bin/env python3
"""Texts per second in process: Apus against ONNX Runtime from Python, turn by turn in the same run.

    throughput.py [--rounds 5] [--corpora short mixed]

Each round runs both on a corpus, the order of the two changing every round. Target: at least 1.1 times the peer.
"""
import argparse
import sys

from harness import apus_in_process, json_lines, median, report, table, text_file

TARGET = 1.1


def peer(corpus):
    rows = json_lines([sys.executable, __file__.replace("throughput.py", "peer_onnxruntime.py"), "--file", text_file(corpus)])
    return [row["texts_per_second"] for row in rows]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--corpora", nargs="+", default=["short", "mixed"])
    arguments = parser.parse_args()
    result = {}
    for corpus in arguments.corpora:
        seen = {"apus": [], "onnxruntime-fp32": []}
        programs = [("apus", apus_in_process), ("onnxruntime-fp32", peer)]
        for number in range(arguments.rounds):
            for name, run in programs if number % 2 == 0 else programs[::-1]:
                seen[name] += run(corpus)
        medians = {name: median(values) for name, values in seen.items()}
        result[corpus] = {"texts_per_second": seen, "median": medians, "ratio": medians["apus"] / medians["onnxruntime-fp32"]}
    table(f"Throughput in process, texts/s (target {TARGET}x)", ["corpus", "apus", "onnxruntime-fp32", "ratio", "met"],
          [[corpus, row["median"]["apus"], row["median"]["onnxruntime-fp32"], f"{row['ratio']:.3f}",
            "yes" if row["ratio"] >= TARGET else "no"] for corpus, row in result.items()])
    report("throughput", result)


if __name__ == "__main__":
    main()
