"""Checkpoints that must not load: one clear message, exit status 1, no crash."""
import json
import os
import shutil
import struct

import pytest

import apus


def change_json(path, **changes):
    document = json.loads(path.read_text(encoding="utf-8"))
    for key, value in changes.items():
        if value is None:
            document.pop(key, None)
        else:
            document[key] = value
    path.write_text(json.dumps(document), encoding="utf-8")


def read_safetensors(path):
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    return json.loads(data[8:8 + length]), data[8 + length:]


def write_safetensors(path, header, payload):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + payload)


def edit_safetensors(folder, edit):
    path = folder / "model.safetensors"
    header, payload = read_safetensors(path)
    header, payload = edit(header, payload) or (header, payload)
    write_safetensors(path, header, payload)


def first_tensor(header):
    return next(name for name in sorted(header) if name != "__metadata__")


def change_tensor(**changes):
    def edit(header, payload):
        header[first_tensor(header)].update(changes)
    return lambda folder: edit_safetensors(folder, edit)


def overlap(header, payload):
    names = [name for name in header if name != "__metadata__"]
    a, b = (next(n for n in names if header[n]["shape"] == shape and n.endswith(kind)) for shape, kind in
            (([64], "attention.self.key.bias"), ([64], "attention.self.query.bias")))
    header[a]["data_offsets"] = header[b]["data_offsets"]


def rename_tensor(header, payload):
    name = next(n for n in header if n.endswith("layer.1.output.dense.weight"))
    header["somewhere.else"] = header.pop(name)


def truncate(path, size):
    os.truncate(path, size)


FAULTS = {
    "no config.json": lambda d: (d / "config.json").unlink(),
    "config.json is no JSON": lambda d: (d / "config.json").write_text("{"),
    "config.json is a list": lambda d: (d / "config.json").write_text("[]"),
    "unknown family": lambda d: change_json(d / "config.json", model_type="gpt_neox"),
    "no model_type": lambda d: change_json(d / "config.json", model_type=None, architectures=None),
    "hidden size 0": lambda d: change_json(d / "config.json", hidden_size=0),
    "hidden size 2^62": lambda d: change_json(d / "config.json", hidden_size=1 << 62),
    "negative heads": lambda d: change_json(d / "config.json", num_attention_heads=-4),
    "no heads": lambda d: change_json(d / "config.json", num_attention_heads=0),
    "heads do not divide": lambda d: change_json(d / "config.json", num_attention_heads=7),
    "layers 10^9": lambda d: change_json(d / "config.json", num_hidden_layers=10**9),
    "layers more than the file has": lambda d: change_json(d / "config.json", num_hidden_layers=3),
    "hidden size is text": lambda d: change_json(d / "config.json", hidden_size="64"),
    "unknown activation": lambda d: change_json(d / "config.json", hidden_act="mystery"),
    "no weights": lambda d: (d / "model.safetensors").unlink(),
    "weights empty": lambda d: truncate(d / "model.safetensors", 0),
    "weights of 4 bytes": lambda d: truncate(d / "model.safetensors", 4),
    "weights cut short": lambda d: truncate(d / "model.safetensors", (d / "model.safetensors").stat().st_size - 64),
    "bytes after the weights": lambda d: (d / "model.safetensors").open("ab").write(b"PK\x03\x04"),
    "header length 2^64-1": lambda d: (d / "model.safetensors").write_bytes(b"\xff" * 8 + b"{}"),
    "header length 2^40": lambda d: (d / "model.safetensors").write_bytes(struct.pack("<Q", 1 << 40) + b"{}"),
    "header is a list": lambda d: write_safetensors(d / "model.safetensors", b"[]", b""),
    "header is no JSON": lambda d: write_safetensors(d / "model.safetensors", b"{nothing}", b""),
    "duplicate tensor": lambda d: write_safetensors(
        d / "model.safetensors",
        b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}', b"\0" * 4),
    "tensors overlap": lambda d: edit_safetensors(d, overlap),
    "offsets reversed": change_tensor(data_offsets=[8, 4]),
    "offsets negative": change_tensor(data_offsets=[-4, 0]),
    "offsets past the end": change_tensor(data_offsets=[0, 1 << 40]),
    "shape overflows": change_tensor(shape=[1 << 40, 1 << 40]),
    "shape and bytes differ": change_tensor(shape=[3]),
    "unknown element type": change_tensor(dtype="F7"),
    "a tensor is missing": lambda d: edit_safetensors(d, rename_tensor),
    "no tokenizer": lambda d: (d / "tokenizer.json").unlink(),
    "tokenizer is no JSON": lambda d: (d / "tokenizer.json").write_text("<html>"),
    "tokenizer without a model": lambda d: change_json(d / "tokenizer.json", model=None),
    "tokenizer of an unknown kind": lambda d: change_json(d / "tokenizer.json", model={"type": "Magic"}),
    "tokenizer ids are text": lambda d: change_json(d / "tokenizer.json", model={"type": "WordPiece", "unk_token": "[UNK]", "vocab": {"a": "b"}}),
    "unknown normalizer": lambda d: change_json(d / "tokenizer.json", normalizer={"type": "Magic"}),
    "unknown pre-tokenizer": lambda d: change_json(d / "tokenizer.json", pre_tokenizer={"type": "Magic"}),
    "modules.json is no list": lambda d: (d / "modules.json").write_text("{}"),
    "unknown module": lambda d: (d / "modules.json").write_text(
        '[{"idx":0,"name":"0","path":"","type":"sentence_transformers.models.Transformer"},'
        '{"idx":1,"name":"1","path":"1_CNN","type":"sentence_transformers.models.CNN"}]'),
    "module above the directory": lambda d: (d / "modules.json").write_text(
        '[{"idx":0,"name":"0","path":"","type":"sentence_transformers.models.Transformer"},'
        '{"idx":1,"name":"1","path":"../../1_Pooling","type":"sentence_transformers.models.Pooling"}]'),
    "pooling width differs": lambda d: change_json(d / "1_Pooling/config.json", word_embedding_dimension=65),
    "max_seq_length 0": lambda d: change_json(d / "sentence_bert_config.json", max_seq_length=0),
    "weights are a folder": lambda d: ((d / "model.safetensors").unlink(), (d / "model.safetensors").mkdir()),
}
ONNX_FAULTS = {
    "ONNX file empty": lambda d: truncate(d / "model.onnx", 0),
    "ONNX file cut short": lambda d: truncate(d / "model.onnx", (d / "model.onnx").stat().st_size // 2),
    "ONNX file is garbage": lambda d: (d / "model.onnx").write_bytes(os.urandom(4096)),
}
SHARD_FAULTS = {
    "shard missing": lambda d: (d / "model-00002-of-00003.safetensors").unlink(),
    "index is no JSON": lambda d: (d / "model.safetensors.index.json").write_text("{"),
    "index names a file above": lambda d: (d / "model.safetensors.index.json").write_text(
        (d / "model.safetensors.index.json").read_text().replace("model-00002", "../model-00002")),
}
CASES = [(fault, base, name) for base, faults in (("bert-mean", FAULTS), ("onnx-bert", ONNX_FAULTS),
                                                  ("bert-max-dense-sharded", SHARD_FAULTS)) for name, fault in faults.items()]


@pytest.mark.parametrize("fault,base,name", CASES, ids=[name for _, _, name in CASES])
def test_broken_checkpoints_fail_with_one_clear_message(tmp_path, fault, base, name):
    folder = tmp_path / "broken"
    shutil.copytree(apus.TINY / base, folder)
    fault(folder)
    result = apus.run("embed", "--model", folder, "text")
    assert result.returncode == 1, f"{name}: {result.returncode}\n{result.stdout[:500]}{result.stderr[:2000]}"
    assert result.stdout == ""
    message = result.stderr.strip()
    assert message and len(message.splitlines()) <= 3, message
    assert "Fatal error" not in message and "Stack dump" not in message


def test_an_intact_copy_loads(tmp_path):
    folder = tmp_path / "whole"
    shutil.copytree(apus.TINY / "bert-mean", folder)
    assert apus.run("embed", "--model", folder, "text").returncode == 0


def test_serve_refuses_a_broken_checkpoint(tmp_path):
    folder = tmp_path / "broken"
    shutil.copytree(apus.TINY / "bert-mean", folder)
    truncate(folder / "model.safetensors", 100)
    result = apus.run("serve", "--port", apus.free_port(), "--model", folder, timeout=60)
    assert result.returncode == 1
    assert "model.safetensors" in result.stderr + result.stdout
    assert "ERROR" not in result.stderr and "Cancellation" not in result.stderr, result.stderr
