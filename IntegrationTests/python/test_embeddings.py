"""POST /v1/embeddings: the shape of answers, and the numbers in them."""
import base64
import concurrent.futures
import random

import numpy as np
import pytest

import apus

COSINE, DIFFERENCE, REPEAT = 0.99999, 1e-4, 1e-5


def test_one_string(server):
    reply = server.embed("A swift sleeps while it flies.")
    assert reply.status == 200
    body = reply.json
    assert body["object"] == "list"
    assert body["model"] == apus.DEFAULT_MODEL
    (row,) = body["data"]
    assert row["object"] == "embedding" and row["index"] == 0
    assert len(row["embedding"]) == 384
    assert np.linalg.norm(row["embedding"]) == pytest.approx(1, abs=1e-5)
    assert body["usage"] == {"prompt_tokens": 9, "total_tokens": 9}
    assert "provenance" not in body


def test_golden_vectors(exact, golden):
    cosine, difference = apus.agreement(apus.vectors(exact.embed(golden["texts"])), golden["embeddings"])
    assert cosine >= COSINE and difference <= DIFFERENCE


def test_golden_vectors_in_the_default_precision(server, golden):
    cosine, _ = apus.agreement(apus.vectors(server.embed(golden["texts"])), golden["embeddings"])
    assert cosine >= 0.9997


def test_usage_counts_the_tokens_that_ran(server, golden):
    reply = server.embed(golden["texts"])
    assert reply.json["usage"]["prompt_tokens"] == sum(map(len, golden["input_ids"]))


def test_batched_is_alone(server, golden):
    together = apus.vectors(server.embed(golden["texts"]))
    alone = np.concatenate([apus.vectors(server.embed(text)) for text in golden["texts"]])
    assert np.abs(together - alone).max() <= REPEAT


def test_order_never_changes_a_vector(server, golden):
    order = list(range(len(golden["texts"])))
    random.Random(7).shuffle(order)
    straight = apus.vectors(server.embed(golden["texts"]))
    shuffled = apus.vectors(server.embed([golden["texts"][i] for i in order]))
    assert np.abs(shuffled - straight[order]).max() <= REPEAT


def test_requests_from_many_connections_get_their_own_vectors(exact, golden):
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        rows = list(pool.map(lambda text: apus.vectors(exact.embed(text))[0], golden["texts"] * 3))
    cosine, difference = apus.agreement(rows, np.tile(golden["embeddings"], (3, 1)))
    assert cosine >= COSINE and difference <= DIFFERENCE


def test_base64_is_the_same_numbers(server):
    texts = ["one", "two", "three"]
    floats = apus.vectors(server.embed(texts, encoding_format="float"))
    rows = server.embed(texts, encoding_format="base64").json["data"]
    decoded = np.stack([np.frombuffer(base64.b64decode(row["embedding"], validate=True), "<f4") for row in rows])
    assert decoded.shape == (3, 384)
    assert np.abs(decoded - floats).max() <= 1e-6


def test_floats_survive_json_exactly(server):
    text = "The quick brown fox jumps over the lazy dog."
    printed = apus.vectors(server.embed([text, text]))
    raw = np.frombuffer(base64.b64decode(server.embed([text, text], encoding_format="base64").json["data"][0]["embedding"]), "<f4")
    assert np.array_equal(printed[0].view(np.uint32), raw.view(np.uint32))


@pytest.mark.parametrize("dimensions", [1, 7, 128, 383, 384])
def test_dimensions_cut_and_normalise_again(server, dimensions):
    whole = apus.vectors(server.embed("Matryoshka"))[0]
    cut = apus.vectors(server.embed("Matryoshka", dimensions=dimensions))[0]
    expected = whole[:dimensions] / np.linalg.norm(whole[:dimensions])
    assert cut.shape == (dimensions,)
    assert np.abs(cut - expected).max() <= 1e-5


def test_token_ids_are_a_text(server, golden):
    texts, ids = golden["texts"][:8], golden["input_ids"][:8]
    by_text = apus.vectors(server.embed(texts))
    assert np.abs(apus.vectors(server.embed(ids)) - by_text).max() <= REPEAT
    assert np.abs(apus.vectors(server.embed(ids[0]))[0] - by_text[0]).max() <= REPEAT


def test_long_texts_are_cut_and_it_is_told(server, golden):
    lengths = golden["original_tokens"]
    reply = server.embed(golden["texts"])
    assert reply.headers["x-apus-truncated"] == str(sum(length > 256 for length in lengths))
    assert server.embed("short").headers["x-apus-truncated"] == "0"


def test_truncate_false_refuses_what_is_too_long(server, golden):
    whole = [text for text, length in zip(golden["texts"], golden["original_tokens"]) if length == 256]
    cut = [text for text, length in zip(golden["texts"], golden["original_tokens"]) if length == 257]
    assert server.embed(whole, truncate=False).status == 200
    reply = server.embed(cut, truncate=False)
    assert reply.status == 400
    assert reply.error["code"] == "context_length_exceeded"
    assert reply.error["param"] == "input"


@pytest.mark.parametrize("ask", ["body", "header"])
def test_provenance_when_asked(server, golden, ask):
    texts, lengths = golden["texts"], golden["original_tokens"]
    reply = server.embed(texts, provenance=True) if ask == "body" else server.embed(texts, headers={"x-apus-provenance": "1"})
    inputs = reply.json["provenance"]
    assert [entry["original_tokens"] for entry in inputs] == lengths
    assert [entry["truncated"] for entry in inputs] == [length > 256 for length in lengths]
    for entry in inputs:
        assert entry["device"].startswith("cpu")
        assert entry["precision"] == apus.precision(server)
        assert entry["fallback"] == "none"
        assert 1 <= entry["batch_size"] <= len(texts)
        assert entry["padding"] >= 0 and entry["queue_ms"] >= 0 and entry["run_ms"] > 0


def test_headers_always_tell_how_it_was_computed(server):
    headers = server.embed(["a", "b"], headers={"x-request-id": "abc-123"}).headers
    assert headers["x-apus-device"].startswith("cpu")
    assert headers["x-apus-precision"] == apus.precision(server)
    assert headers["x-apus-fallback"] == "none"
    assert int(headers["x-apus-batch"]) >= 1
    assert "x-apus-cache" in headers
    assert headers["x-apus-truncated"] == "0"
    assert headers["x-request-id"] == "abc-123"


def test_request_ids_are_made_when_absent(server):
    first, second = (server.embed("a").headers["x-request-id"] for _ in range(2))
    assert first and second and first != second


def test_2048_inputs_come_back_in_order(server):
    words = ["swift", "falcon", "server", "vector"]
    singles = apus.vectors(server.embed(words))
    many = apus.vectors(server.embed([words[i % 4] for i in range(2048)]))
    assert np.abs(many - np.tile(singles, (512, 1))).max() <= REPEAT


def test_one_connection_carries_many_requests(server):
    connection = server.connection()
    for number in range(20):
        connection.request("POST", "/v1/embeddings", f'{{"model":"{apus.DEFAULT_MODEL}","input":"text {number}"}}', apus.JSON_HEADERS)
        response = connection.getresponse()
        assert response.status == 200 and len(response.read()) > 384
    connection.close()
