#!/usr/bin/env python3
"""Texts per second in process, for every precision: Apus against ONNX Runtime (fp32) and OpenVINO (bf16) from Python, turn by turn in the same run.

    throughput.py [--rounds 5] [--corpora short mixed] [--precisions fp32 bf16 int8] [--model DIR]

Each round runs every side once on a corpus; the order turns by one place every round. Targets, as multiples of a peer (short, mixed):
fp32 1.15 and 1.4 of ONNX Runtime; bf16 1.1 and 1.0, int8 2.2 and 1.6 of OpenVINO. For another model: int8 1.8 of OpenVINO.
"""
import argparse
import pathlib
import sys

from harness import MODEL_DIRECTORY, apus_in_process, json_lines, median, report, table, text_file

TARGETS = {("fp32", "short"): ("onnxruntime-fp32", 1.15), ("fp32", "mixed"): ("onnxruntime-fp32", 1.4),
           ("bf16", "short"): ("openvino-bf16", 1.1), ("bf16", "mixed"): ("openvino-bf16", 1.0),
           ("int8", "short"): ("openvino-bf16", 2.2), ("int8", "mixed"): ("openvino-bf16", 1.6)}
OTHER_MODEL = {("int8", "short"): ("openvino-bf16", 1.8), ("int8", "mixed"): ("openvino-bf16", 1.8)}


def peer(engine, corpus, model):
    rows = json_lines([sys.executable, pathlib.Path(__file__).with_name("peer_encoder.py"),
                       "--engine", engine, "--model", model, "--file", text_file(corpus)])
    return [row["texts_per_second"] for row in rows]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--corpora", nargs="+", default=["short", "mixed"])
    parser.add_argument("--precisions", nargs="+", default=["fp32", "bf16", "int8"])
    parser.add_argument("--model", type=pathlib.Path, default=MODEL_DIRECTORY)
    arguments = parser.parse_args()
    targets = TARGETS if arguments.model == MODEL_DIRECTORY else OTHER_MODEL
    result, rows, met = {}, [], True
    for corpus in arguments.corpora:
        sides = {name: (lambda name=name: apus_in_process(corpus, precision=name, model=arguments.model)) for name in arguments.precisions}
        sides |= {name: (lambda name=name: peer(name, corpus, arguments.model)) for name in ("onnxruntime-fp32", "openvino-bf16")}
        names, seen = list(sides), {name: [] for name in sides}
        for number in range(arguments.rounds):
            turn = number % len(names)
            for name in names[turn:] + names[:turn]:
                seen[name] += sides[name]()
        medians = {name: median(values) for name, values in seen.items()}
        result[corpus] = {"texts_per_second": seen, "median": medians}
        for name in arguments.precisions:
            other, target = targets.get((name, corpus), ("onnxruntime-fp32", 0))
            ratio = medians[name] / medians[other]
            good = ratio >= target
            met = met and good
            rows.append([corpus, name, medians[name], other, medians[other], f"{ratio:.3f}", str(target or "-"), "yes" if good else "no"])
    table("Throughput in process, texts/s", ["corpus", "apus", "texts/s", "peer", "texts/s", "ratio", "target", "met"], rows)
    report("throughput" if arguments.model == MODEL_DIRECTORY else f"throughput-{arguments.model.name}", result)
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
