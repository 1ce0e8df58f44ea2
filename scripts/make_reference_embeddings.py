#!/usr/bin/env python3
"""Makes Tests/Fixtures/minilm: what sentence-transformers computes in fp32 for the default model.

    python scripts/make_reference_embeddings.py [OUT] [--model .apus/models/all-MiniLM-L6-v2]

`texts.json` names the versions and holds the texts, the token ids as cut at 256 and the token counts before the cut;
`embeddings.npy` (format 1.0, little-endian fp32, C order, data from byte 128 on) holds one vector a text.
Needs: torch, transformers, sentence-transformers, tokenizers. `Benchmarks/accuracy.py` compares thousands of texts instead.
"""
import argparse
import importlib.metadata
import json
import os
import pathlib

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"

import numpy as np
import torch
from sentence_transformers import SentenceTransformer
from tokenizers import Tokenizer

from reference_texts import GOLDEN_TEXTS, TRAINING_SAMPLE

MAX_TOKENS = 256
ROOT = pathlib.Path(__file__).resolve().parent.parent
VERSIONS = {name: importlib.metadata.version(name)
            for name in ("torch", "transformers", "sentence-transformers", "tokenizers", "numpy")}
# 256 and 257 tokens with [CLS] and [SEP]: the longest text that is whole and the shortest that is cut.
BOUNDARY = [" ".join(["swift"] * count) for count in (MAX_TOKENS - 3, MAX_TOKENS - 2, MAX_TOKENS - 1)]
TEXTS = GOLDEN_TEXTS + TRAINING_SAMPLE + BOUNDARY + ["\u200b", " ", "x" * 300]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", nargs="?", type=pathlib.Path, default=ROOT / "Tests/Fixtures/minilm")
    parser.add_argument("--model", type=pathlib.Path, default=ROOT / ".apus/models/all-MiniLM-L6-v2")
    arguments = parser.parse_args()

    tokenizer = Tokenizer.from_file(str(arguments.model / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    whole = [len(tokenizer.encode(text).ids) for text in TEXTS]
    tokenizer.enable_truncation(MAX_TOKENS)
    ids = [tokenizer.encode(text).ids for text in TEXTS]

    model = SentenceTransformer(str(arguments.model), device="cpu", model_kwargs={"dtype": torch.float32})
    assert model.max_seq_length == MAX_TOKENS
    for text, expected in zip(TEXTS, ids):
        actual = model.tokenizer(text, truncation=True, max_length=MAX_TOKENS)["input_ids"]
        assert actual == expected, f"sentence-transformers cuts {text!r} into other tokens than tokenizer.json"
    vectors = model.encode(TEXTS, batch_size=1, convert_to_numpy=True).astype("<f4")

    arguments.out.mkdir(parents=True, exist_ok=True)
    np.save(arguments.out / "embeddings.npy", vectors)
    rows = lambda values: ",\n  ".join(json.dumps(v, ensure_ascii=False, separators=(",", ":")) for v in values)
    (arguments.out / "texts.json").write_text(
        '{\n "made_by": "scripts/make_reference_embeddings.py",\n "versions": ' + json.dumps(VERSIONS)
        + f',\n "max_tokens": {MAX_TOKENS},\n "texts": [\n  {rows(TEXTS)}\n ],\n "original_tokens": {json.dumps(whole)},'
        + f'\n "input_ids": [\n  {rows(ids)}\n ]\n}}\n', encoding="utf-8")
    print(f"{len(TEXTS)} texts of {min(whole)} to {max(whole)} tokens, {vectors.shape[1]} dimensions")


if __name__ == "__main__":
    main()
