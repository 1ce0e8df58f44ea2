#!/usr/bin/env python3
"""What each precision keeps of fp32: vectors against sentence-transformers, and the neighbours that a search finds.

    precision_accuracy.py [--precision int8 …] [--model DIR] [--copy int4=DIR] [--texts-only] [--passages 20000]

Cosines: the first 4,000 short and the first 600 mixed texts, cut at 256 tokens. Neighbours: of 1,000 short texts, which are no passage,
among the passages of the mixed corpus; fp32 is Apus's own. A copy (`apus quantize`) stands for the model in its precision.
The reference is kept in .apus/bench. Needs torch and sentence-transformers once.
"""
import argparse
import pathlib
import subprocess
import sys

import numpy as np

from accuracy import reference
from harness import BINARY, COUNTS, MODEL_DIRECTORY, SCRATCH, environment, report, table, texts

QUERIES, PASSAGES, NEIGHBOURS = 1000, 20000, 10
# Lowest and mean cosine, share of queries with the same nearest passage, mean share of the ten nearest that are the same.
TARGETS = {
    "fp32": (0.99999, 0.99999, None, None), "bf16": (0.9999, 0.9999, None, None),
    "int8": (0.997, 0.9988, 0.98, 0.95), "int4": (0.98, 0.98, None, None),
}


def embed(lines, model, precision, name):
    """What `apus embed` writes for these lines; a floor of 0, because what is below it is what is to be measured."""
    source, output = SCRATCH / f"precision-{name}.txt", SCRATCH / f"precision-{name}-{precision}.npy"
    source.write_text("\n".join(lines) + "\n", encoding="utf-8")
    command = [BINARY, "embed", "--model", model, "--file", source, "--output", output, "--precision", precision, "--precision-floor", 0]
    if subprocess.run([str(part) for part in command], env=environment()).returncode:
        sys.exit(f"apus embed --precision {precision} failed")
    return np.load(output)


def cosines(a, b):
    a, b = a.astype(np.float64), b.astype(np.float64)
    return (a * b).sum(1) / (np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1))


def nearest(queries, passages):
    return np.argsort(-(queries @ passages.T), axis=1, kind="stable")[:, :NEIGHBOURS]


def agreement(found, expected):
    top = float((found[:, 0] == expected[:, 0]).mean())
    overlap = float(np.mean([len(set(a) & set(b)) / NEIGHBOURS for a, b in zip(found, expected)]))
    return top, overlap


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--precision", nargs="+", choices=sorted(TARGETS), default=list(TARGETS))
    parser.add_argument("--model", type=pathlib.Path, default=MODEL_DIRECTORY)
    parser.add_argument("--copy", action="append", default=[], metavar="PRECISION=DIR")
    parser.add_argument("--texts-only", action="store_true", help="leave the neighbours out")
    parser.add_argument("--passages", type=int, default=PASSAGES)
    arguments = parser.parse_args()
    model = arguments.model.resolve()
    copies = {name: pathlib.Path(path).resolve() for name, path in (copy.split("=", 1) for copy in arguments.copy)}
    SCRATCH.mkdir(parents=True, exist_ok=True)
    lines, expected, versions = [], [], {}
    for corpus in COUNTS:
        part = texts(corpus)
        vectors, versions = reference(corpus, part, model)
        lines, expected = lines + part, expected + [vectors]
    expected = np.concatenate(expected)
    exact = None
    if not arguments.texts_only:
        queries = texts("short", COUNTS["short"] + QUERIES)[-QUERIES:]
        passages = texts("mixed", arguments.passages)
        exact = nearest(embed(queries, model, "fp32", "queries"), embed(passages, model, "fp32", "passages"))
    result, rows, all_met = {"texts": len(lines), "versions": versions}, [], True
    for precision in arguments.precision:
        source = copies.get(precision, model)
        cosine = cosines(embed(lines, source, precision, "texts"), expected)
        figures = [float(cosine.min()), float(cosine.mean()), None, None]
        if exact is not None and precision != "fp32":
            found = nearest(embed(queries, source, precision, "queries"), embed(passages, source, precision, "passages"))
            figures[2:] = agreement(found, exact)
        met = all(figure is None or target is None or figure >= target for figure, target in zip(figures, TARGETS[precision]))
        all_met = all_met and met
        worst = lines[int(cosine.argmin())]
        result[precision] = {"lowest": figures[0], "mean": figures[1], "same_nearest": figures[2], "ten_nearest": figures[3],
                             "worst_text": worst[:80], "copy": precision in copies, "met": met}
        told = ["-" if figure is None else f"{figure:.5f}" for figure in figures]
        rows.append([precision] + told + ["yes" if met else "no"])
    table("What precisions keep of fp32", ["precision", "lowest cosine", "mean", "same nearest", "ten nearest", "met"], rows)
    report("precision_accuracy", result)
    return 0 if all_met else 1


if __name__ == "__main__":
    sys.exit(main())
