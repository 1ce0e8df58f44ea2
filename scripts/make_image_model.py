#!/usr/bin/env python3
"""Makes the small image-shaped model under Tests/Fixtures/image and what ONNX Runtime computes for it.

    python scripts/make_image_model.py [OUT]

`model.onnx` takes `pixels` [batch, 3, 224, 224] and gives `logits` [batch, 10] and `features` [batch, 32], through convolutions, ReLU, pooling
and a matrix product: seeded weights, no training. `golden.json` holds the outputs for pictures that both sides generate by the formula of
`picture`, computed one picture at a time by ONNX Runtime from Python.

`fixed.onnx` is the same network for one picture: its first axis is 1. `summed.onnx` sums over the batch, which no server can batch. `open.onnx`
takes items of any length: `values` float32 and `ids` int64, both [batch, length], and gives `weighted` = values * ids and `next` = ids + 1. `half.onnx`
takes float16.

Needs numpy, onnx and onnxruntime. The committed files were made with the versions that golden.json names; weights are drawn from numpy's
PCG64, which is stable across versions.
"""
import importlib.metadata
import json
import pathlib
import sys

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

SEED = 20260412
CHANNELS = [3, 8, 16, 32]
CLASSES = 10
SIZE = 224
PICTURES = 5
OPSET = 17


def picture(number):
    """Values from -1 to 1 in float32: exact in any language, since all steps are integers but the last."""
    index = np.arange(3 * SIZE * SIZE, dtype=np.int64)
    mixed = (index * 1103515245 + (number + 1) * 12345 + (index // 7) * (number + 3)) % 65536
    return ((mixed - 32768).astype(np.float32) / np.float32(32768)).reshape(3, SIZE, SIZE)


def constants(generator):
    weights = []

    def add(name, shape, scale):
        weights.append(numpy_helper.from_array((generator.standard_normal(shape) * scale).astype(np.float32), name))

    for layer, (source, target) in enumerate(zip(CHANNELS, CHANNELS[1:])):
        add(f"conv{layer}.weight", (target, source, 3, 3), (2 / (source * 9)) ** 0.5)
        add(f"conv{layer}.bias", (target,), 0.1)
    add("head.weight", (CLASSES, CHANNELS[-1]), CHANNELS[-1] ** -0.5)
    add("head.bias", (CLASSES,), 0.1)
    return weights


def network(batch, summed=False):
    nodes = []
    value = "pixels"
    for layer in range(len(CHANNELS) - 1):
        nodes.append(helper.make_node(
            "Conv", [value, f"conv{layer}.weight", f"conv{layer}.bias"], [f"conv{layer}"], kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4))
        nodes.append(helper.make_node("Relu", [f"conv{layer}"], [f"relu{layer}"]))
        value = f"relu{layer}"
        if layer == 0:
            nodes.append(helper.make_node("MaxPool", [value], ["pooled"], kernel_shape=[2, 2], strides=[2, 2]))
            value = "pooled"
    nodes.append(helper.make_node("GlobalAveragePool", [value], ["averaged"]))
    nodes.append(helper.make_node("Flatten", ["averaged"], ["features"], axis=1))
    nodes.append(helper.make_node("Gemm", ["features", "head.weight", "head.bias"], ["rows" if summed else "logits"], transB=1))
    if summed:
        nodes.append(helper.make_node("ReduceSum", ["rows", "axes"], ["logits"], keepdims=0))
    weights = constants(np.random.default_rng(SEED))
    if summed:
        weights.append(numpy_helper.from_array(np.array([0], np.int64), "axes"))
    logits = [CLASSES] if summed else [batch, CLASSES]
    graph = helper.make_graph(
        nodes, "image",
        [helper.make_tensor_value_info("pixels", TensorProto.FLOAT, [batch, 3, SIZE, SIZE])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, logits),
         helper.make_tensor_value_info("features", TensorProto.FLOAT, [batch, CHANNELS[-1]])],
        weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], producer_name="apus")
    model.ir_version = 9
    onnx.checker.check_model(model, full_check=True)
    return model


def small(name, nodes, inputs, outputs, weights=()):
    def values(descriptions):
        return [helper.make_tensor_value_info(name, kind, ["batch", "length"]) for name, kind in descriptions]

    graph = helper.make_graph(nodes, name, values(inputs), values(outputs), weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], producer_name="apus")
    model.ir_version = 9
    onnx.checker.check_model(model, full_check=True)
    return model


def of_any_length():
    return small(
        "open",
        [helper.make_node("Cast", ["ids"], ["factors"], to=TensorProto.FLOAT), helper.make_node("Mul", ["values", "factors"], ["weighted"]),
         helper.make_node("Add", ["ids", "one"], ["next"])],
        [("values", TensorProto.FLOAT), ("ids", TensorProto.INT64)], [("weighted", TensorProto.FLOAT), ("next", TensorProto.INT64)],
        [numpy_helper.from_array(np.array([1], np.int64), "one")])


def of_half_precision():
    return small(
        "half", [helper.make_node("Neg", ["values"], ["negated"])], [("values", TensorProto.FLOAT16)], [("negated", TensorProto.FLOAT16)])


def main():
    out = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else pathlib.Path(__file__).parent.parent / "Tests/Fixtures/image"
    out.mkdir(parents=True, exist_ok=True)
    onnx.save(network("batch"), out / "model.onnx")
    onnx.save(network(1), out / "fixed.onnx")
    onnx.save(network("batch", summed=True), out / "summed.onnx")
    onnx.save(of_any_length(), out / "open.onnx")
    onnx.save(of_half_precision(), out / "half.onnx")
    session = onnxruntime.InferenceSession(out / "model.onnx", providers=["CPUExecutionProvider"])
    golden = {
        "versions": {name: importlib.metadata.version(name) for name in ("numpy", "onnx", "onnxruntime")},
        "logits": [], "features": [],
    }
    for number in range(PICTURES):
        logits, features = session.run(["logits", "features"], {"pixels": picture(number)[None]})
        golden["logits"].append([float(np.format_float_positional(x, unique=True)) for x in logits[0]])
        golden["features"].append([float(np.format_float_positional(x, unique=True)) for x in features[0]])
    (out / "golden.json").write_text(json.dumps(golden) + "\n")


if __name__ == "__main__":
    main()
