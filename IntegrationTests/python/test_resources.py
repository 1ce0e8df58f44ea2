"""What a server costs: start-up, memory at rest, memory after work."""
import sys

import pytest

import apus

MEBIBYTE = 1 << 20
linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")


@linux
def test_memory_at_rest_is_the_weights_and_little_more():
    weights = (apus.MODEL_DIRECTORY / "model.safetensors").stat().st_size
    with apus.Server() as server:
        server.embed("text")
        assert server.pss_bytes() <= weights + 120 * MEBIBYTE


@linux
def test_memory_does_not_grow_with_requests():
    with apus.Server() as server:
        texts = ["The server batches requests and answers them in order. " * 4] * 8
        connection = server.connection()

        def work(count):
            import json
            data = json.dumps({"model": apus.DEFAULT_MODEL, "input": texts})
            for _ in range(count):
                connection.request("POST", "/v1/embeddings", data, apus.JSON_HEADERS)
                response = connection.getresponse()
                assert response.status == 200
                response.read()

        work(60)
        settled = server.own_bytes()
        work(120)
        # What a burst leaves unused is given back a little later.
        apus.eventually(lambda: server.own_bytes() - settled <= 16 * MEBIBYTE, seconds=30, pause=0.5)
