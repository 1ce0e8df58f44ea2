"""`apus plan`: where a model would go, from the sizes in its files alone."""
import json
import struct

import pytest

import apus

DONE, FAILED, USAGE, CONFIGURATION = 0, 1, 2, 78


def plan(*arguments, model=apus.DEFAULT_MODEL, **env):
    # What other tests have measured meanwhile is none of this module's.
    result = apus.run("plan", model, "--json", "--arithmetic", *arguments, **env)
    assert result.returncode == DONE, result.stderr
    return json.loads(result.stdout)


def ranks(answer):
    return [rank for replica in answer["plan"]["replicas"] for stage in replica for rank in stage["ranks"]]


def refused(*arguments, status=FAILED, **env):
    result = apus.run("plan", apus.DEFAULT_MODEL, *arguments, **env)
    assert result.returncode == status, (result.returncode, result.stdout, result.stderr)
    assert result.stdout == ""
    return result.stderr


@pytest.fixture(scope="module")
def tensors():
    """Bytes of the checkpoint's tensors by name, read from the safetensors header."""
    with open(apus.MODEL_DIRECTORY / "model.safetensors", "rb") as file:
        header = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
    return {name: entry["data_offsets"][1] - entry["data_offsets"][0] for name, entry in header.items() if name != "__metadata__"}


@pytest.fixture(scope="module")
def layer_bytes(tensors):
    return sum(size for name, size in tensors.items() if ".layer." in name)


@pytest.fixture(scope="module")
def table_bytes(tensors):
    return sum(size for name, size in tensors.items() if "embeddings." in name)


def test_two_ranks_by_two_stages_are_two_pairs():
    answer = plan("--devices", "cpu:4", "--tensor-parallel", 2, "--pipeline-parallel", 2)
    assert answer["layout"] == "[[0,1],[2,3]]" and answer["strategy"] == "hybrid"
    layers = [(stage["first_layer"], stage["end_layer"]) for stage in answer["plan"]["replicas"][0]]
    assert layers == [(0, 3), (3, 6)]


@pytest.mark.parametrize("option", ["--pipeline-parallel", "--tensor-parallel"])
def test_half_of_the_layers_are_on_each_of_two_devices(option, layer_bytes, table_bytes):
    answer = plan("--devices", "cpu:2", option, 2)
    held = ranks(answer)
    assert len(held) == 2
    assert all(rank["layer_bytes"] <= 0.55 * layer_bytes for rank in held)
    assert answer["layer_bytes"] == layer_bytes
    assert answer["largest_layer_share"] == pytest.approx(max(rank["layer_bytes"] for rank in held) / layer_bytes)
    # Vectors are on every rank; matrices and stages are parted without a rest.
    assert layer_bytes <= sum(rank["layer_bytes"] for rank in held) <= 1.01 * layer_bytes
    tables = [table_bytes, table_bytes if "tensor" in option else 0]
    assert [rank["embedding_bytes"] for rank in held] == tables


def test_auto_takes_whole_models_while_they_fit_and_parts_them_else(layer_bytes, table_bytes):
    whole = plan("--devices", "cpu:2", "--tokens", 1)
    assert whole["layout"] == "[[[0]],[[1]]]" and whole["strategy"] == "data_parallel"
    assert whole["balance"] == pytest.approx(1)
    limit = int((table_bytes + 0.75 * layer_bytes) / 2**20)
    parted = plan("--devices", "cpu:2", "--memory-limit", limit, "--tokens", 1)
    assert parted["strategy"] in ("pipeline", "tensor")
    for rank in ranks(parted):
        held = sum(rank[name] for name in ("layer_bytes", "embedding_bytes", "head_bytes", "activation_bytes"))
        assert held <= limit * 2**20
    assert "the largest device holds" in parted["plan"]["reason"]


def test_split_points_are_kept():
    answer = plan("--devices", "cpu:2", "--split", "1:cpu:1,6:cpu:0")
    assert answer["layout"] == "[[1],[0]]"
    assert [(stage["first_layer"], stage["end_layer"]) for stage in answer["plan"]["replicas"][0]] == [(0, 1), (1, 6)]
    # One layer and five: the longer stage takes five thirds of the mean, and a little for the table.
    assert answer["balance"] == pytest.approx(5 / 3, abs=0.01)


def test_a_pipeline_tells_how_busy_its_stages_are():
    answer = plan("--devices", "cpu:6", "--strategy", "pipeline", "--micro-batches", 32)
    assert answer["layout"] == "[[0],[1],[2],[3],[4],[5]]"
    assert answer["utilization"] == pytest.approx(32 / 37)


def test_the_table_tells_what_the_json_tells(table_bytes):
    result = apus.run("plan", apus.DEFAULT_MODEL, "--arithmetic", "--devices", "cpu:8", "--tensor-parallel", 2, "--pipeline-parallel", 2)
    assert result.returncode == DONE and result.stderr == ""
    lines = result.stdout.splitlines()
    assert lines[0].startswith("[[[0,1],[2,3]],[[4,5],[6,7]]]  hybrid")
    rows = [line.split("  ") for line in lines if line.startswith("cpu:")]
    assert [row[0] for row in rows] == [f"cpu:{number}" for number in range(8)]
    assert f"{table_bytes / 2**20:.1f} MiB" in result.stdout
    assert "weights: a device holds at most 25" in result.stdout and "is on cpu:0, cpu:1, cpu:4, cpu:5" in " ".join(result.stdout.split())
    assert "why: " in result.stdout and "balance: 1.0" in result.stdout and "utilisation: " in result.stdout


def test_more_logical_devices_than_cores_share_them_and_the_plan_says_so():
    answer = plan("--devices", "cpu:256", "--strategy", "data_parallel", "--replicas", 8)
    assert len(ranks(answer)) == 8
    assert any("share" in note and "cores" in note for note in answer["notes"]), answer["notes"]


def test_other_families_are_planned_too():
    for directory in sorted(apus.TINY.iterdir()):
        answer = plan("--devices", "cpu:1", model=directory)
        (rank,) = ranks(answer)
        assert answer["strategy"] == "none" and rank["layer_bytes"] > 0 and answer["plan"]["layers"] >= 1
        assert answer["weight_bytes"] == sum(rank[name] for name in ("layer_bytes", "embedding_bytes", "head_bytes"))


def test_settings_count_where_no_option_is_given(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text("parallel:\n  pipeline_parallel: 3\n  device_ids: [cpu:2, cpu:0, cpu:1]\n", encoding="utf-8")
    assert plan("--devices", "cpu:3", "--config", path)["layout"] == "[[2],[0],[1]]"
    assert plan("--devices", "cpu:3", "--config", path, "--pipeline-parallel", 2)["layout"] == "[[2],[0]]"
    assert plan("--devices", "cpu:2", APUS_TENSOR_PARALLEL="2")["layout"] == "[[0,1]]"


def test_settings_of_a_model_go_before_those_of_all(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text(
        f"parallel:\n  tensor_parallel: 2\nmodels:\n  - name: {apus.DEFAULT_MODEL}\n    parallel:\n      pipeline_parallel: 2\n", encoding="utf-8")
    assert plan("--devices", "cpu:2", "--config", path)["layout"] == "[[0],[1]]"


REFUSED = {
    "heads": (("--devices", "cpu:8", "--tensor-parallel", 5), "12 = 5 x 2 + 2", "tensor_parallel 6"),
    "stages": (("--devices", "cpu:8", "--pipeline-parallel", 7), "7 > 6", "pipeline_parallel 6"),
    "devices": (("--devices", "cpu:2", "--tensor-parallel", 2, "--pipeline-parallel", 2), "= 4 devices, and there are 2", "[[0,1]]"),
    "split order": (("--devices", "cpu:2", "--split", "4:cpu:0,2:cpu:1"), "overlap", "3:cpu:0,6:cpu:1"),
    "split device": (("--devices", "cpu:2", "--split", "3:cpu:0,6:cpu:2"), "there is no device cpu:2", "cpu:0, cpu:1"),
    "same device": (("--devices", "cpu:2", "--split", "3:cpu:0,6:cpu:0"), "named twice", "6:cpu:0"),
    "memory": (("--devices", "cpu:2", "--memory-limit", 10), "too little memory", "No plan works"),
    "contradiction": (("--devices", "cpu:2", "--strategy", "tensor", "--pipeline-parallel", 2), "contradicts", "strategy auto"),
}


@pytest.mark.parametrize("arguments,arithmetic,nearest", REFUSED.values(), ids=REFUSED.keys())
def test_what_is_impossible_is_refused_with_the_arithmetic_and_what_works(arguments, arithmetic, nearest):
    message = refused(*arguments)
    assert arithmetic in message and nearest in message, message


MISUSED = {
    "no split point": ("--devices", "cpu:2", "--split", "cpu:0"),
    "zero": ("--devices", "cpu:2", "--tensor-parallel", 0),
    "no number": ("--devices", "cpu:2", "--replicas", "two"),
    "no strategy": ("--devices", "cpu:2", "--strategy", "wide"),
    "no device": ("--devices", "cuda:77"),
    "no list": ("--devices", "cpu:0"),
    "no limit": ("--devices", "cpu:2", "--memory-limit", 0),
}


@pytest.mark.parametrize("arguments", MISUSED.values(), ids=MISUSED.keys())
def test_misuse_ends_with_2(arguments):
    assert refused(*arguments, status=USAGE)


def test_an_unknown_model_and_a_broken_configuration_are_told(tmp_path):
    result = apus.run("plan", "no-such-model", "--devices", "cpu:2")
    assert result.returncode == FAILED and "no-such-model" in result.stderr
    path = tmp_path / "config.yaml"
    path.write_text("parallel:\n  pipline_parallel: 2\n", encoding="utf-8")
    assert "did you mean 'pipeline_parallel'" in refused("--config", path, status=CONFIGURATION)
