#!/usr/bin/env python3
"""Makes the small ONNX files under Tests/Fixtures/cuts, which are cut into parts, and what ONNX Runtime computes for them whole.

    python scripts/make_cut_models.py [OUT]

`encoder.onnx`: twelve transformer layers behind a table. Its mask is bool and goes into every layer, so that it crosses every cut beside the
states; `first`, the states behind layer 0, is an output that is made long before the last part. `half.onnx` computes in float16 between two
casts. `branch.onnx` has an If whose branches take values of the graph around them. `beside.onnx` has its weights in `beside.bin`. `uneven.onnx` has
eight parts with as many weights each, of which the seventh computes on 512 times as many rows.

Weights are drawn from numpy's PCG64 with a seed. `golden.json` has inputs and outputs of each, with the versions of what made them. Needs numpy,
onnx and onnxruntime.
"""
import importlib.metadata
import json
import pathlib
import sys

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

SEED = 20261121
OPSET = 17
HIDDEN, HEADS, INNER, LAYERS, WORDS = 32, 4, 64, 12, 50
FLOAT, HALF, INT64, BOOL = TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.INT64, TensorProto.BOOL


class Graph:
    """Nodes and weights as they are added."""

    def __init__(self, name):
        self.name, self.nodes, self.weights = name, [], []
        self.generator = np.random.default_rng(SEED)

    def weight(self, name, shape, scale=None, kind=np.float32):
        scale = shape[0] ** -0.5 if scale is None else scale
        return self.constant(name, (self.generator.standard_normal(shape) * scale).astype(kind))

    def constant(self, name, values):
        self.weights.append(numpy_helper.from_array(np.asarray(values), name))
        return name

    def add(self, operator, inputs, output, **attributes):
        self.nodes.append(helper.make_node(operator, inputs, [output], name=f"node_{output}", **attributes))
        return output

    def model(self, inputs, outputs):
        def values(descriptions):
            return [helper.make_tensor_value_info(name, kind, shape) for name, kind, shape in descriptions]

        graph = helper.make_graph(self.nodes, self.name, values(inputs), values(outputs), self.weights)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], producer_name="apus")
        model.ir_version = 9
        onnx.checker.check_model(model, full_check=True)
        return model


def encoder():
    graph = Graph("encoder")
    add, weight = graph.add, graph.weight
    split = graph.constant("split", np.array([0, 0, HEADS, HIDDEN // HEADS], np.int64))
    merge = graph.constant("merge", np.array([0, 0, HIDDEN], np.int64))
    axes = graph.constant("axes", np.array([1, 2], np.int64))
    lowest = graph.constant("lowest", np.array(-1e9, np.float32))
    scale = graph.constant("scale", np.array((HIDDEN // HEADS) ** -0.5, np.float32))
    add("Cast", ["attention_mask"], "allowed", to=BOOL)
    add("Unsqueeze", ["allowed", axes], "wide_mask")

    def linear(value, name, inner, outer):
        product = add("MatMul", [value, weight(f"{name}.weight", (inner, outer))], f"{name}_product")
        return add("Add", [product, weight(f"{name}.bias", (outer,), 0.1)], name)

    def norm(value, name):
        ones = graph.constant(f"{name}.weight", np.ones(HIDDEN, np.float32))
        return add("LayerNormalization", [value, ones, weight(f"{name}.bias", (HIDDEN,), 0.1)], name, axis=-1)

    state = norm(add("Gather", [weight("table", (WORDS, HIDDEN), 1.0), "input_ids"], "looked_up"), "embedded")
    for layer in range(LAYERS):
        parts = {}
        for part in "qkv":
            rows = add("Reshape", [linear(state, f"l{layer}_{part}", HIDDEN, HIDDEN), split], f"l{layer}_{part}_rows")
            parts[part] = add("Transpose", [rows], f"l{layer}_{part}_heads", perm=[0, 2, 3, 1] if part == "k" else [0, 2, 1, 3])
        scores = add("Mul", [add("MatMul", [parts["q"], parts["k"]], f"l{layer}_raw"), scale], f"l{layer}_scores")
        masked = add("Where", ["wide_mask", scores, lowest], f"l{layer}_masked")
        context = add("MatMul", [add("Softmax", [masked], f"l{layer}_shares", axis=-1), parts["v"]], f"l{layer}_context")
        rows = add("Reshape", [add("Transpose", [context], f"l{layer}_back", perm=[0, 2, 1, 3]), merge], f"l{layer}_merged")
        state = norm(add("Add", [linear(rows, f"l{layer}_out", HIDDEN, HIDDEN), state], f"l{layer}_sum"), f"l{layer}_attended")
        widened = add("Relu", [linear(state, f"l{layer}_wide", HIDDEN, INNER)], f"l{layer}_relu")
        total = add("Add", [linear(widened, f"l{layer}_narrow", INNER, HIDDEN), state], f"l{layer}_total")
        state = norm(total, "first" if layer == 0 else f"l{layer}_state")
    last = graph.constant("last_axis", np.array([2], np.int64))
    shares = add("Unsqueeze", [add("Cast", ["attention_mask"], "counts", to=FLOAT), last], "column")
    sums = add("ReduceSum", [add("Mul", [state, shares], "kept"), graph.constant("tokens", np.array([1], np.int64))], "sums", keepdims=0)
    add("Div", [sums, add("ReduceSum", [shares, "tokens"], "lengths", keepdims=0)], "sentence_embedding")
    ids = ["batch", "length"]
    return graph.model(
        [("input_ids", INT64, ids), ("attention_mask", INT64, ids)],
        [("sentence_embedding", FLOAT, ["batch", HIDDEN]), ("first", FLOAT, ids + [HIDDEN])])


def half():
    graph = Graph("half")
    value = graph.add("Cast", ["x"], "narrow", to=HALF)
    for layer in range(4):
        product = graph.add("MatMul", [value, graph.weight(f"w{layer}", (16, 16), kind=np.float16)], f"product{layer}")
        value = graph.add("Relu", [product], f"relu{layer}")
    graph.add("Cast", [value], "y", to=FLOAT)
    return graph.model([("x", FLOAT, ["batch", 16])], [("y", FLOAT, ["batch", 16])])


def branch():
    graph = Graph("branch")
    early = graph.add("MatMul", ["x", graph.weight("w0", (8, 8))], "early")
    late = graph.add("Tanh", [graph.add("MatMul", [early, graph.weight("w1", (8, 8))], "middle")], "late")
    graph.constant("zero", np.array(0, np.float32))
    graph.add("Greater", [graph.add("ReduceSum", [late], "sum", keepdims=0), "zero"], "is_positive")

    def side(name, operator):
        output = helper.make_tensor_value_info(f"{name}_result", FLOAT, ["batch", 8])
        return helper.make_graph([helper.make_node(operator, ["late", "early"], [f"{name}_result"])], name, [], [output])

    graph.add("If", ["is_positive"], "chosen", then_branch=side("then", "Add"), else_branch=side("else", "Sub"))
    graph.add("MatMul", ["chosen", graph.weight("w2", (8, 8))], "y")
    return graph.model([("x", FLOAT, ["batch", 8])], [("y", FLOAT, ["batch", 8])])


def beside():
    graph = Graph("beside")
    value = "x"
    for layer in range(6):
        product = graph.add("MatMul", [value, graph.weight(f"w{layer}", (24, 24))], f"product{layer}")
        value = graph.add("Relu", [product], "y" if layer == 5 else f"relu{layer}")
    return graph.model([("x", FLOAT, ["batch", 24])], [("y", FLOAT, ["batch", 24])])


def uneven():
    graph = Graph("uneven")
    one = graph.constant("one", np.array([1], np.int64))
    rows = graph.constant("rows", np.array([1, 512, 1], np.int64))
    value = "x"
    for layer in range(8):
        source = value
        if layer == 6:
            source = graph.add("Expand", [graph.add("Unsqueeze", [value, one], "row"), rows], "many")
        product = graph.add("MatMul", [source, graph.weight(f"w{layer}", (64, 64))], f"product{layer}")
        if layer == 6:
            product = graph.add("ReduceMean", [graph.add("Sin", [product], "waves")], "mean", axes=[1], keepdims=0)
        value = graph.add("Relu", [product], "y" if layer == 7 else f"relu{layer}")
    return graph.model([("x", FLOAT, ["batch", 64])], [("y", FLOAT, ["batch", 64])])


def inputs(name, generator):
    if name == "encoder":
        mask = np.array([[1] * 7, [1] * 4 + [0] * 3, [1] * 1 + [0] * 6], np.int64)
        return {"input_ids": generator.integers(0, WORDS, (3, 7)), "attention_mask": mask}
    width = {"half": 16, "branch": 8, "beside": 24, "uneven": 64}[name]
    return {"x": generator.standard_normal((3, width)).astype(np.float32)}


def main():
    out = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else pathlib.Path(__file__).parent.parent / "Tests/Fixtures/cuts"
    out.mkdir(parents=True, exist_ok=True)
    golden = {"versions": {name: importlib.metadata.version(name) for name in ("numpy", "onnx", "onnxruntime")}}
    for name, make in [("encoder", encoder), ("half", half), ("branch", branch), ("beside", beside), ("uneven", uneven)]:
        path = out / f"{name}.onnx"
        if name == "beside":
            (out / "beside.bin").unlink(missing_ok=True)
            onnx.save(make(), path, save_as_external_data=True, location="beside.bin", size_threshold=0)
        else:
            onnx.save(make(), path)
        given = inputs(name, np.random.default_rng(SEED))
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        results = zip([output.name for output in session.get_outputs()], session.run(None, given))
        golden[name] = {
            key: {"shape": list(values.shape), "values": [float(f"{value:.9g}") for value in values.ravel()]}
            for key, values in [*given.items(), *results]
        }
    (out / "golden.json").write_text(json.dumps(golden) + "\n")


if __name__ == "__main__":
    main()
