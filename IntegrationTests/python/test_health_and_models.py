"""Liveness, readiness and the model list."""
import hashlib
import re

import pytest

import apus


def test_live_answers(server):
    assert server.get("/health/live").status == 200


def test_ready_tells_every_model_and_device(server):
    reply = server.get("/health/ready")
    assert reply.status == 200
    assert reply.json["status"] == "ready"
    (entry,) = reply.json["models"]
    assert entry["model"] == apus.DEFAULT_MODEL
    assert entry["device"].startswith("cpu")
    assert entry["cosine"] >= 0.9999


def test_model_list_has_openai_and_own_fields(server):
    reply = server.get("/v1/models")
    assert reply.status == 200
    assert reply.headers["content-type"] == "application/json"
    assert reply.json["object"] == "list"
    (model,) = reply.json["data"]
    assert model["id"] == apus.DEFAULT_MODEL
    assert model["object"] == "model"
    assert isinstance(model["created"], int)
    assert model["task"] == "embedding"
    assert model["dimensions"] == 384
    assert model["max_tokens"] == 256
    assert model["precision"] == apus.precision(server)
    assert model["devices"] and all(re.fullmatch(r"cpu(:\d+)?", device) for device in model["devices"])
    assert server.get(f"/v1/models/{apus.DEFAULT_MODEL}").json == model


def test_weights_are_named_by_their_hash(server):
    digest = hashlib.sha256((apus.MODEL_DIRECTORY / "model.safetensors").read_bytes()).hexdigest()
    assert server.get("/v1/models").json["data"][0]["weights_sha256"] == digest


@pytest.mark.parametrize("name", ["nothing", "..%2f..%2fetc%2fpasswd", "a%0ab", "x" * 4000])
def test_unknown_model_is_404(server, name):
    reply = server.get(f"/v1/models/{name}")
    assert reply.status == 404
    assert reply.error["code"] == "model_not_found"
    assert reply.error["type"] == "invalid_request_error"
