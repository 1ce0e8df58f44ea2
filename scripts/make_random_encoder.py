#!/usr/bin/env python3
"""Writes a BERT encoder of random weights, with the tokenizer of another checkpoint: something deep and small to share among devices.

    make_random_encoder.py DIRECTORY --like CHECKPOINT [--layers 12] [--hidden 96] [--heads 12] [--seed 7]

Needs numpy only: safetensors is eight bytes of length, a JSON header and the numbers. Nothing is downloaded.
"""
import argparse
import json
import pathlib
import shutil

import numpy

FILES = ("modules.json", "tokenizer.json", "tokenizer_config.json", "sentence_bert_config.json")


def shapes(layers, hidden, inner, vocabulary, positions):
    yield "embeddings.word_embeddings.weight", (vocabulary, hidden)
    yield "embeddings.position_embeddings.weight", (positions, hidden)
    yield "embeddings.token_type_embeddings.weight", (2, hidden)
    yield from norm("embeddings.LayerNorm", hidden)
    for layer in range(layers):
        name = f"encoder.layer.{layer}"
        for part in ("attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense"):
            yield from linear(f"{name}.{part}", hidden, hidden)
        yield from norm(f"{name}.attention.output.LayerNorm", hidden)
        yield from linear(f"{name}.intermediate.dense", inner, hidden)
        yield from linear(f"{name}.output.dense", hidden, inner)
        yield from norm(f"{name}.output.LayerNorm", hidden)


def linear(name, rows, columns):
    yield f"{name}.weight", (rows, columns)
    yield f"{name}.bias", (rows,)


def norm(name, width):
    yield f"{name}.weight", (width,)
    yield f"{name}.bias", (width,)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("directory", type=pathlib.Path)
    parser.add_argument("--like", type=pathlib.Path, required=True)
    parser.add_argument("--layers", type=int, default=12)
    parser.add_argument("--hidden", type=int, default=96)
    parser.add_argument("--heads", type=int, default=12)
    parser.add_argument("--seed", type=int, default=7)
    arguments = parser.parse_args()
    config = json.loads((arguments.like / "config.json").read_text(encoding="utf-8"))
    inner = 4 * arguments.hidden
    config |= {"num_hidden_layers": arguments.layers, "hidden_size": arguments.hidden, "num_attention_heads": arguments.heads,
               "intermediate_size": inner, "model_type": "bert", "architectures": ["BertModel"]}
    arguments.directory.mkdir(parents=True, exist_ok=True)
    for file in FILES:
        if (arguments.like / file).exists():
            shutil.copyfile(arguments.like / file, arguments.directory / file)
    for folder in ("1_Pooling", "2_Normalize"):
        if (arguments.like / folder).is_dir():
            shutil.copytree(arguments.like / folder, arguments.directory / folder, dirs_exist_ok=True)
    pooling = arguments.directory / "1_Pooling/config.json"
    if pooling.exists():
        pooling.write_text(json.dumps(json.loads(pooling.read_text(encoding="utf-8")) | {"word_embedding_dimension": arguments.hidden}))
    (arguments.directory / "config.json").write_text(json.dumps(config, indent=1))

    random, header, parts, offset = numpy.random.default_rng(arguments.seed), {}, [], 0
    for name, shape in shapes(arguments.layers, arguments.hidden, inner, config["vocab_size"], config["max_position_embeddings"]):
        values = random.standard_normal(shape, dtype=numpy.float32) * numpy.float32(0.1)
        if name.endswith("LayerNorm.weight"):
            values += 1
        data = values.tobytes()
        header[name] = {"dtype": "F32", "shape": list(shape), "data_offsets": [offset, offset + len(data)]}
        offset += len(data)
        parts.append(data)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(arguments.directory / "model.safetensors", "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for data in parts:
            file.write(data)


if __name__ == "__main__":
    main()
