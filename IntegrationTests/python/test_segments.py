"""Models that are run in segments: chosen by memory or by wish, told everywhere, and the same vectors."""
import json
import re

import pytest

import apus

DONE, FAILED, USAGE, CONFIGURATION = 0, 1, 2, 78
SAME = 0.99999


def explain(*arguments, **variables):
    result = apus.run("gpu", "explain", "--json", "--precision", "fp32", *arguments, **variables)
    assert result.returncode == DONE, result.stderr
    return json.loads(result.stdout)["precisions"][0]


@pytest.mark.parametrize("arguments, variables, told", [
    (("--segments", "3"), {}, {"segments": 3, "offload": False}),
    (("--offload", "always", "--segments", "2"), {}, {"segments": 2, "offload": True}),
    ((), {"APUS_DEVICE_MEMORY_LIMIT": "90"}, {"offload": True}),
])
def test_a_server_in_segments_answers_as_a_whole_one(arguments, variables, told, golden):
    with apus.Server("--precision", "fp32", *arguments, env=variables) as server:
        (model,) = server.get("/v1/models").json["data"]
        assert told.items() <= model.items(), model
        assert model["segments"] > 1
        cosine, _ = apus.agreement(apus.vectors(server.embed(golden["texts"])), golden["embeddings"])
        assert cosine >= SAME
        log = server.output()
        assert re.search(rf"is ready on cpu:0 in fp32 .* in {model['segments']} segments", log), log


def test_what_fits_is_whole():
    entry = explain()
    assert entry["segments"] == 1 and entry["residency"] == "resident"
    with apus.Server() as server:
        (model,) = server.get("/v1/models").json["data"]
        assert model["segments"] == 1 and model["offload"] is False


def test_a_limit_cuts_the_model_and_a_smaller_one_refuses_it():
    whole = explain()["memory_bytes"]
    limit = whole * 3 // 4 >> 20
    cut = explain(APUS_DEVICE_MEMORY_LIMIT=str(limit))
    assert cut["residency"] in ("offloaded", "prefetched") and cut["memory_bytes"] <= limit << 20
    for arguments, variables in ((("--offload", "never"), {"APUS_DEVICE_MEMORY_LIMIT": str(limit)}), ((), {"APUS_DEVICE_MEMORY_LIMIT": "5"})):
        assert re.search(r"needs \d+ MiB on cpu:0: weights", explain(*arguments, **variables)["memory_error"])


@pytest.mark.parametrize("arguments, status, message", [
    (("serve", "--segments", "0"), CONFIGURATION, "0 is outside 1 to 1024"),
    (("serve", "--segments", "some"), CONFIGURATION, "neither a whole number nor auto"),
    (("serve", "--offload", "sometimes"), USAGE, "offload"),
    (("serve", "--port", "0", "--segments", "7"), FAILED, "7 segments cannot be made of 6 layers"),
    (("embed", "--segments", "0", "a"), USAGE, "--segments must be a number from 1 on"),
    (("embed", "--segments", "7", "a"), FAILED, "7 segments cannot be made of 6 layers"),
])
def test_what_cannot_be_is_refused(arguments, status, message):
    result = apus.run(*arguments)
    assert result.returncode == status, result.stderr
    assert message in result.stderr


@pytest.mark.parametrize("arguments", [("--segments", "2"), ("--offload", "always")])
def test_an_onnx_file_is_not_cut(arguments):
    result = apus.run("embed", "--model", str(apus.ROOT / "Tests/Fixtures/tiny/onnx-bert"), *arguments, "a")
    assert result.returncode == FAILED and "ONNX file" in result.stderr, result.stderr


def test_embed_gives_the_same_vectors_in_segments(golden):
    def vectors(*arguments):
        result = apus.run("embed", "--precision", "fp32", *arguments, *golden["texts"][:4])
        assert result.returncode == DONE, result.stderr
        return [json.loads(line)["embedding"] for line in result.stdout.splitlines()]

    whole = vectors()
    for arguments in (("--segments", "6"), ("--offload", "always")):
        cosine, _ = apus.agreement(vectors(*arguments), whole)
        assert cosine >= SAME
