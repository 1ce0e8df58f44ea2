#!/usr/bin/env python3
"""What each precision keeps of fp32: vectors against sentence-transformers, and the neighbours that a search finds.

    precision_accuracy.py [--precision int8 …] [--model DIR] [--copy int4=DIR] [--texts-only] [--passages 20000]

Cosines: the first 4,000 short and the first 600 mixed texts, cut at 256 tokens. Neighbours: of the first 1,000 texts of a corpus among the
passages after them (the mixed corpus has 19,000), and of the short ones among the mixed passages, which are another kind of text and all
about equally far away: a difference that changes nothing else changes their order. fp32 is Apus's own. A copy (`apus quantize`) stands for
the model in its precision. The reference is kept in .apus/bench. Needs torch and sentence-transformers once.
"""
import argparse
import pathlib
import subprocess
import sys

import numpy as np

from accuracy import reference
from harness import BINARY, COUNTS, MODEL_DIRECTORY, SCRATCH, environment, report, table, texts

QUERIES, PASSAGES, NEIGHBOURS = 1000, 20000, 10
# Queries and passages, and whether the targets are for them.
SEARCHES = {"short in short": ("short", "short", True), "mixed in mixed": ("mixed", "mixed", True), "short in mixed": ("short", "mixed", False)}
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
    scores = queries.astype(np.float64) @ passages.astype(np.float64).T
    return np.argsort(-scores, axis=1, kind="stable")[:, :NEIGHBOURS]


def searches(model, precision, count):
    """The neighbours that each kind of search finds."""
    vectors = {corpus: embed(texts(corpus, QUERIES + count), model, precision, f"search-{corpus}") for corpus in COUNTS}
    return {name: nearest(vectors[queries][:QUERIES], vectors[passages][QUERIES:]) for name, (queries, passages, _) in SEARCHES.items()}


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
    exact = None if arguments.texts_only else searches(model, "fp32", arguments.passages)
    result, rows, found_rows, all_met = {"texts": len(lines), "versions": versions}, [], [], True
    for precision in arguments.precision:
        source, targets = copies.get(precision, model), TARGETS[precision]
        cosine = cosines(embed(lines, source, precision, "texts"), expected)
        lowest, mean = float(cosine.min()), float(cosine.mean())
        met = lowest >= targets[0] and mean >= targets[1]
        result[precision] = {"lowest": lowest, "mean": mean, "worst_text": lines[int(cosine.argmin())][:80], "copy": precision in copies}
        rows.append([precision, f"{lowest:.5f}", f"{mean:.5f}", "yes" if met else "no"])
        if exact is not None and precision != "fp32":
            found = searches(source, precision, arguments.passages)
            for name, (_, _, is_target) in SEARCHES.items():
                top, overlap = agreement(found[name], exact[name])
                result[precision][name] = {"same_nearest": top, "ten_nearest": overlap}
                told = "-"
                if is_target and targets[2] is not None:
                    good = top >= targets[2] and overlap >= targets[3]
                    met, told = met and good, "yes" if good else "no"
                found_rows.append([precision, name, f"{top:.4f}", f"{overlap:.4f}", told])
        result[precision]["met"] = met
        all_met = all_met and met
    table("What precisions keep of fp32", ["precision", "lowest cosine", "mean", "met"], rows)
    if found_rows:
        table(f"Neighbours of {QUERIES} texts", ["precision", "search", "same nearest", "ten nearest", "met"], found_rows)
    report("precision_accuracy", result)
    return 0 if all_met else 1


if __name__ == "__main__":
    sys.exit(main())
