"""ONNX files that several devices share: where they are cut, what is refused, and that parts give what the whole gives."""
import json
import re

import pytest

import apus

FAILED = 1
CUTS = apus.ROOT / "Tests/Fixtures/cuts"
ENCODER = CUTS / "encoder.onnx"
TEXT_ENCODER = apus.TINY / "onnx-bert"
TEXTS = ["a small bird", "the swift sleeps on the wing and rarely lands", "x", "rain in the evening, sun in the morning"] * 3


def plan(*arguments, model=ENCODER):
    result = apus.run("plan", model, "--json", "--arithmetic", *arguments)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def refused(*arguments, model=ENCODER):
    result = apus.run("plan", model, *arguments)
    assert result.returncode == FAILED and result.stdout == "", (result.returncode, result.stdout, result.stderr)
    return result.stderr


def test_a_file_is_cut_where_one_tensor_separates_its_parts():
    answer = plan("--devices", "cpu:2", "--pipeline-parallel", 2)
    assert answer["layout"] == "[[0],[1]]"
    assert {f"l{layer}_state" for layer in range(1, 11)} < set(answer["cut_tensors"])
    assert not any(tensor.endswith("_context") for tensor in answer["cut_tensors"])
    held = [stage["ranks"][0]["layer_bytes"] for stage in answer["plan"]["replicas"][0]]
    assert sum(held) == answer["weight_bytes"] and max(held) <= 0.55 * sum(held), held


def test_named_tensors_are_where_it_is_cut():
    answer = plan("--devices", "cpu:3", "--cut", "l2_state,l7_state")
    assert answer["cut_tensors"] == ["l2_state", "l7_state"] and answer["layout"] == "[[0],[1],[2]]"
    text = apus.run("plan", ENCODER, "--devices", "cpu:3", "--cut", "l2_state,l7_state").stdout
    assert re.search(r"cut: behind l2_state, l7_state", text), text


REFUSED = {
    "unknown": (("--devices", "cpu:2", "--cut", "l2_stat"), "no such tensor", '"l2_state"'),
    "input": (("--devices", "cpu:2", "--cut", "input_ids"), "an input of the model", "nearest"),
    "weight": (("--devices", "cpu:2", "--cut", "l3_q.weight"), "weights alone", "nearest"),
    "last": (("--devices", "cpu:2", "--cut", "sentence_embedding"), "follows", "nearest"),
    "order": (("--devices", "cpu:3", "--cut", "l7_state,l2_state"), "overlap", '"l2_state", "l7_state"'),
    "tensor": (("--devices", "cpu:2", "--tensor-parallel", 2), "one piece", "nearest plan that works"),
    "stages": (("--devices", "cpu:2", "--cut", "l7_state", "--pipeline-parallel", 3), "2 stages", "Leave out pipeline_parallel"),
    "devices": (("--devices", "cpu:2", "--cut", "l2_state,l7_state"), "there are 2", "nearest plan that works"),
}


@pytest.mark.parametrize("arguments,reason,nearest", REFUSED.values(), ids=REFUSED.keys())
def test_impossible_cuts_are_refused_with_the_nearest_that_works(arguments, reason, nearest):
    message = refused(*arguments)
    assert reason in message and nearest in message, message


def test_only_files_are_cut_behind_tensors():
    message = refused("--devices", "cpu:2", "--cut", "states", model=apus.DEFAULT_MODEL)
    assert "only the network of an ONNX file" in message, message


def test_layers_are_weighed_by_what_they_take():
    # Eight parts with as many weights, of which the seventh computes on 512 times as many rows.
    by_bytes = plan("--devices", "cpu:2", "--pipeline-parallel", 2, model=CUTS / "uneven.onnx")
    result = apus.run("plan", CUTS / "uneven.onnx", "--json", "--measure", "--devices", "cpu:2", "--pipeline-parallel", 2)
    assert result.returncode == 0, result.stderr
    measured = json.loads(result.stdout)
    assert by_bytes["cost_unit"] == "flops_per_token" and measured["cost_unit"] == "seconds_per_token"
    costs = dict(zip([*measured["cut_tensors"], "y"], measured["layer_costs"]))
    heavy = sum(costs[tensor] for tensor in ("product6", "waves", "mean") if tensor in costs)
    assert heavy > 0.5 * sum(costs.values()), costs
    # By bytes it is cut in the middle; by time the heavy part stands by itself as far as it can.
    ends = [answer["plan"]["replicas"][0][0]["end_layer"] for answer in (by_bytes, measured)]
    assert measured["cut_tensors"][ends[0] - 1] in {"product3", "relu3", "product4"}, ends
    assert ends[1] > ends[0], (ends, costs)
    assert measured["balance"] <= measured["arithmetic_balance"] + 1e-9
    # What was measured once is known from then on.
    again = json.loads(apus.run("plan", CUTS / "uneven.onnx", "--json", "--devices", "cpu:2", "--pipeline-parallel", 2).stdout)
    assert again["layer_costs"] == measured["layer_costs"]


@pytest.mark.parametrize("arguments,layout,devices", [
    (("--pipeline-parallel", 2), "[[0],[1]]", "cpu:0,cpu:1"),
    (("--strategy", "data_parallel"), "[[[0]],[[1]]]", None),
], ids=["pipeline", "data parallel"])
def test_a_text_encoder_that_came_as_a_file_gives_in_parts_what_it_gives_whole(arguments, layout, devices):
    with apus.Server("--model", TEXT_ENCODER, "--devices", "cpu:1") as server:
        whole = apus.vectors(server.embed(TEXTS, model=TEXT_ENCODER.name))
    with apus.Server("--model", TEXT_ENCODER, "--devices", "cpu:2", *map(str, arguments)) as server:
        assert server.get("/v1/devices").json["plan"]["current"] == layout
        answer = server.embed(TEXTS, model=TEXT_ENCODER.name)
        parts = apus.vectors(answer)
        cosine, _ = apus.agreement(parts, whole)
        assert cosine >= 0.99999, cosine
        if devices:
            assert answer.headers["x-apus-device"] == devices
            (unit,) = server.get("/v1/devices").json["plan"]["units"]
            assert unit["predicted_balance"] >= 1 and (unit["measured_balance"] or 1) >= 1
            assert "balance of [[cpu:0],[cpu:1]]: " in apus.run("gpu", "status", "--url", server.base).stdout
