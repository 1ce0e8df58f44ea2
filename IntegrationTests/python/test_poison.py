"""One input that the model cannot compute, among others that it can: the real engine, over HTTP."""
import json
import shutil

import numpy as np
import pytest

import apus

POISON = "zzzpoisonzzz"
TEXTS = [f"text {number} of a batch" for number in range(31)]


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A model whose tokenizer knows a word that its network has no embedding for: the engine refuses every batch with it."""
    folder = tmp_path_factory.mktemp("models") / "poisoned"
    shutil.copytree(apus.TINY / "onnx-bert", folder)
    path = folder / "tokenizer.json"
    tokenizer = json.loads(path.read_text(encoding="utf-8"))
    tokenizer["model"]["vocab"][POISON] = len(tokenizer["model"]["vocab"])
    path.write_text(json.dumps(tokenizer, ensure_ascii=False), encoding="utf-8")
    with apus.Server("--model", folder, "--devices", "cpu:1") as running:
        yield running


def ask(server, texts, **fields):
    return server.post("/v1/embeddings", {"model": "poisoned", "input": texts, **fields})


def test_neighbours_get_their_vectors_and_the_poisoned_input_its_error(server):
    alone = [apus.vectors(ask(server, [text]))[0] for text in TEXTS]
    for place in (0, 13, 31):
        texts = TEXTS[:place] + [POISON] + TEXTS[place:]
        reply = ask(server, texts, partial=True)
        assert reply.status == 200 and reply.headers["x-apus-errors"] == "1"
        data = reply.json["data"]
        assert [entry["index"] for entry in data] == list(range(32))
        assert data[place]["object"] == "error" and data[place]["error"]["code"] == "engine_failure"
        assert "embedding" not in data[place]
        vectors = np.array([entry["embedding"] for entry in data if entry["object"] == "embedding"], np.float32)
        assert np.abs(vectors - np.array(alone)).max() <= 1e-5


def test_without_partial_the_request_fails_and_the_next_one_does_not(server):
    reply = ask(server, TEXTS + [POISON])
    assert reply.status == 500 and reply.error["code"] == "engine_failure"
    assert ask(server, TEXTS).status == 200


def test_requests_of_others_in_the_same_batch_are_not_harmed(server):
    import concurrent.futures
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        poisoned = [pool.submit(ask, server, [POISON]) for _ in range(4)]
        healthy = [pool.submit(ask, server, [text]) for text in TEXTS]
        assert all(future.result().status == 200 for future in healthy)
        assert all(future.result().status == 500 for future in poisoned)
    # Nor the device.
    assert server.get("/health/ready").status == 200
