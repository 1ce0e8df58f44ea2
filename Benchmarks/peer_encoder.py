#!/usr/bin/env python3
"""The peers to beat, from Python on the checkpoint's plain ONNX export, done well: ONNX Runtime in fp32, OpenVINO in bf16.

    peer_encoder.py --file TEXTS [--engine onnxruntime-fp32|openvino-bf16] [--model DIR] [--passes N] [--output VECTORS.npy]

Texts are tokenised together, sorted by length, run in batches of 32 padded to their longest, mean-pooled and normalised,
inputs cut at 256 tokens. Both engines optimise the exported graph as they do by default. Prints a JSON object for each pass.
Needs: the engine (onnxruntime or openvino), tokenizers, numpy; torch and transformers once, for the export.
"""
import argparse
import json
import os
import pathlib
import time

import numpy as np

from harness import MAX_TOKENS, MODEL_DIRECTORY, SCRATCH, THREADS

BATCH, DIMENSIONS = 32, 384


def export(directory=MODEL_DIRECTORY):
    """The plain ONNX export of a checkpoint, made once with PyTorch."""
    path = SCRATCH / ("minilm.onnx" if directory == MODEL_DIRECTORY else f"{directory.name}.onnx")
    if path.exists():
        return path
    os.environ["HF_HUB_OFFLINE"] = "1"
    import warnings

    import torch
    from transformers import AutoModel

    warnings.simplefilter("ignore")  # tracing warns of constants that hold for every input here

    class Hidden(torch.nn.Module):
        def __init__(self, model):
            super().__init__()
            self.model = model

        def forward(self, input_ids, attention_mask, token_type_ids):
            return self.model(input_ids=input_ids, attention_mask=attention_mask, token_type_ids=token_type_ids).last_hidden_state

    path.parent.mkdir(parents=True, exist_ok=True)
    half = path.with_suffix(".half")
    model = Hidden(AutoModel.from_pretrained(directory, attn_implementation="eager", dtype=torch.float32).eval())
    x = torch.ones(2, 8, dtype=torch.long)
    names = ["input_ids", "attention_mask", "token_type_ids"]
    torch.onnx.export(model, (x, x, torch.zeros_like(x)), str(half), input_names=names, output_names=["last_hidden_state"],
                      dynamic_axes={name: {0: "batch", 1: "sequence"} for name in [*names, "last_hidden_state"]},
                      opset_version=17, dynamo=False)
    half.rename(path)
    return path


def onnxruntime_fp32(directory):
    import onnxruntime
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = THREADS
    session = onnxruntime.InferenceSession(str(export(directory)), options, providers=["CPUExecutionProvider"])
    return lambda inputs: session.run(None, inputs)[0]


def openvino_bf16(directory):
    import openvino
    compiled = openvino.Core().compile_model(str(export(directory)), "CPU", {
        "INFERENCE_PRECISION_HINT": "bf16", "INFERENCE_NUM_THREADS": THREADS, "PERFORMANCE_HINT": "LATENCY"})
    return lambda inputs: compiled(inputs)[0]


ENGINES = {"onnxruntime-fp32": onnxruntime_fp32, "openvino-bf16": openvino_bf16}


def embedder(engine, directory):
    from tokenizers import Tokenizer
    run = ENGINES[engine](directory)
    tokenizer = Tokenizer.from_file(str(directory / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(MAX_TOKENS)

    def embed(lines):
        ids = [encoding.ids for encoding in tokenizer.encode_batch(lines)]
        order = np.argsort([len(row) for row in ids])
        result = None
        for start in range(0, len(order), BATCH):
            rows = order[start:start + BATCH]
            width = max(len(ids[row]) for row in rows)
            x = np.zeros((len(rows), width), np.int64)
            mask = np.zeros_like(x)
            for i, row in enumerate(rows):
                x[i, :len(ids[row])] = ids[row]
                mask[i, :len(ids[row])] = 1
            hidden = run({"input_ids": x, "attention_mask": mask, "token_type_ids": np.zeros_like(x)})
            pooled = (hidden * mask[..., None]).sum(1) / mask.sum(1, keepdims=True)
            if result is None:
                result = np.zeros((len(lines), pooled.shape[1]), np.float32)
            result[rows] = pooled / np.linalg.norm(pooled, axis=1, keepdims=True)
        return result
    return embed


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--file", required=True)
    parser.add_argument("--engine", choices=ENGINES, default="onnxruntime-fp32")
    parser.add_argument("--model", type=pathlib.Path, default=MODEL_DIRECTORY)
    parser.add_argument("--passes", type=int, default=1)
    parser.add_argument("--output")
    arguments = parser.parse_args()
    with open(arguments.file, encoding="utf-8") as file:
        lines = file.read().removesuffix("\n").split("\n")
    embed = embedder(arguments.engine, arguments.model)
    embed(lines[:64])
    for _ in range(arguments.passes):
        start = time.perf_counter()
        vectors = embed(lines)
        seconds = time.perf_counter() - start
        print(json.dumps({"peer": arguments.engine, "texts": len(lines), "seconds": round(seconds, 4),
                          "texts_per_second": round(len(lines) / seconds, 2)}), flush=True)
    if arguments.output:
        np.save(arguments.output, vectors)


if __name__ == "__main__":
    main()
