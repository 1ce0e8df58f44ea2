"""Every family, pooling and file layout against PyTorch, through the server; several models at once."""
import json

import numpy as np
import pytest

import apus
from conftest import tiny_names


def expected(name):
    golden = json.loads((apus.TINY / name / "golden.json").read_text(encoding="utf-8"))
    return golden, np.array(golden["embeddings"], np.float32)


@pytest.fixture(scope="module")
def zoo():
    """One server with every tiny checkpoint and the default model, in fp32."""
    models = [argument for name in tiny_names() for argument in ("--model", apus.TINY / name)]
    with apus.Server(*models, "--model", apus.DEFAULT_MODEL, "--precision", "fp32") as running:
        yield running


def test_all_models_are_listed_and_ready(zoo):
    names = tiny_names()
    assert len(names) >= 13
    assert sorted(model["id"] for model in zoo.get("/v1/models").json["data"]) == sorted([*names, apus.DEFAULT_MODEL])
    assert sorted(model["model"] for model in zoo.get("/health/ready").json["models"]) == sorted([*names, apus.DEFAULT_MODEL])


def test_vectors_are_pytorchs(zoo, tiny_name):
    golden, vectors = expected(tiny_name)
    reply = zoo.embed(golden["texts"], model=tiny_name)
    cosine, difference = apus.agreement(apus.vectors(reply), vectors)
    assert cosine >= 0.99999
    assert difference <= 1e-4 * max(1, np.abs(vectors).max())
    assert reply.json["usage"]["prompt_tokens"] == sum(map(len, golden["input_ids"]))
    assert int(reply.headers["x-apus-truncated"]) == sum(n > golden["max_tokens"] for n in golden["original_tokens"])


def test_alone_is_batched(zoo, tiny_name):
    golden, _ = expected(tiny_name)
    together = apus.vectors(zoo.embed(golden["texts"], model=tiny_name))
    alone = np.concatenate([apus.vectors(zoo.embed(text, model=tiny_name)) for text in golden["texts"]])
    assert np.abs(together - alone).max() <= 1e-5 * max(1, np.abs(together).max())


def test_limits_are_the_checkpoints(zoo, tiny_name):
    golden, _ = expected(tiny_name)
    model = zoo.get(f"/v1/models/{tiny_name}").json
    assert model["max_tokens"] == golden["max_tokens"]
    assert model["dimensions"] == golden["dimensions"]
    too_high = zoo.embed([[0, golden["vocabulary_size"]]], model=tiny_name)
    assert too_high.error["code"] == "invalid_token"


def test_models_do_not_mix(zoo):
    first, second = (apus.vectors(zoo.embed("text", model=name))[0] for name in ("mpnet-mean-max", "bert-mean"))
    assert first.shape == second.shape and np.abs(first - second).max() > 0.05


def test_the_default_model_is_right_among_others(zoo, golden):
    cosine, difference = apus.agreement(apus.vectors(zoo.embed(golden["texts"])), golden["embeddings"])
    assert cosine >= 0.99999 and difference <= 1e-4
