#!/usr/bin/env python3
"""Vectors against sentence-transformers in fp32, on 2,000 texts of each corpus.

    accuracy.py [--count 2000] [--model DIR]

The first half of the texts are a corpus's first lines, the rest a deterministic sample. Targets: cosine >= 0.99999 and
largest difference <= 1e-4; in another order and each alone the same vectors to 1e-5. The reference is kept in
.apus/bench and made anew when the texts, the weights or the versions change. Needs torch and sentence-transformers once.
"""
import argparse
import hashlib
import importlib.metadata
import json
import os
import pathlib
import random
import subprocess
import sys

import numpy as np

from harness import BINARY, COUNTS, MODEL_DIRECTORY, SCRATCH, environment, report, table, texts

PACKAGES = ("torch", "transformers", "sentence-transformers", "tokenizers")


def chosen(corpus, count):
    lines = [line for line in texts(corpus, 1 << 30) if line.strip()]
    head = lines[:count // 2]
    return head + random.Random(2026).sample(lines[len(head):], count - len(head))


def reference(corpus, lines, model):
    weights = next(pathlib.Path(model).glob("model*.safetensors"))
    versions = {name: importlib.metadata.version(name) for name in PACKAGES}
    key = hashlib.sha256(json.dumps([lines, weights.stat().st_size, str(model), versions]).encode()).hexdigest()[:16]
    path = SCRATCH / f"reference-{corpus}-{key}.npy"
    if not path.exists():
        os.environ["HF_HUB_OFFLINE"] = "1"
        import torch
        from sentence_transformers import SentenceTransformer
        encoder = SentenceTransformer(str(model), device="cpu", model_kwargs={"dtype": torch.float32})
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, encoder.encode(lines, batch_size=32, convert_to_numpy=True).astype(np.float32))
    return np.load(path), versions


def embed(lines, model, name):
    """What `apus embed` writes for these lines."""
    source, output = SCRATCH / f"accuracy-{name}.txt", SCRATCH / f"accuracy-{name}.npy"
    source.write_text("\n".join(lines) + "\n", encoding="utf-8")
    command = [BINARY, "embed", "--model", model, "--file", source, "--output", output]
    if subprocess.run([str(part) for part in command], env=environment()).returncode:
        sys.exit("apus embed failed")
    return np.load(output)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--model", type=pathlib.Path, default=MODEL_DIRECTORY)
    arguments = parser.parse_args()
    model = arguments.model.resolve()
    SCRATCH.mkdir(parents=True, exist_ok=True)
    result, rows, met = {}, [], True
    for corpus in COUNTS:
        lines = chosen(corpus, arguments.count)
        expected, versions = reference(corpus, lines, model)
        vectors = embed(lines, model, corpus)
        a, b = vectors.astype(np.float64), expected.astype(np.float64)
        cosine = (a * b).sum(1) / (np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1))
        order = np.random.Generator(np.random.PCG64(1)).permutation(len(lines))
        shuffled = embed([lines[i] for i in order], model, f"{corpus}-order")
        some = list(range(0, len(lines), max(1, len(lines) // 25)))
        alone = np.concatenate([embed([lines[i]], model, f"{corpus}-alone") for i in some])
        figures = {"texts": len(lines), "lowest_cosine": float(cosine.min()), "largest_difference": float(np.abs(a - b).max()),
                   "order": float(np.abs(shuffled - vectors[order]).max()), "alone": float(np.abs(alone - vectors[some]).max()),
                   "versions": versions}
        good = (figures["lowest_cosine"] >= 0.99999 and figures["largest_difference"] <= 1e-4
                and figures["order"] <= 1e-5 and figures["alone"] <= 1e-5)
        met = met and good
        result[corpus] = figures
        rows.append([corpus, figures["texts"], f"{figures['lowest_cosine']:.9f}", f"{figures['largest_difference']:.1e}",
                     f"{figures['order']:.1e}", f"{figures['alone']:.1e}", "yes" if good else "no"])
    table("Accuracy against sentence-transformers fp32", ["corpus", "texts", "lowest cosine", "largest diff", "other order", "alone", "met"], rows)
    report("accuracy", result)
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
