"""Models go out of service and come back while others serve: nothing accepted is lost, memory goes back to the system."""
import concurrent.futures
import threading
import time

import numpy as np
import pytest

import apus

SMALL = "bert-mean"
MEBIBYTE = 1 << 20


@pytest.fixture(params=[(), ("--in-process",)], ids=["workers", "in-process"])
def pair(request):
    """A server with the default model and a tiny one.

    glibc keeps what is free at the end of each thread's heap, up to twice the largest block that was ever freed (`mallopt(3)`), and more threads
    have had their turn after every request. Set to a fixed border it gives that back, and what is measured is what Apus keeps. Workers set
    such a border themselves."""
    with apus.Server("--model", apus.DEFAULT_MODEL, "--model", apus.TINY / SMALL, *request.param,
                     env={"GLIBC_TUNABLES": "glibc.malloc.trim_threshold=1048576"}) as running:
        yield running


def act(server, model, action):
    return server.post(f"/v1/models/{model}/{action}", {})


def test_a_model_goes_and_comes_back_beside_another(pair, golden):
    before = apus.vectors(pair.embed(golden["texts"]))
    assert act(pair, apus.DEFAULT_MODEL, "unload").status == 200
    gone = pair.embed("text")
    assert (gone.status, gone.error["code"]) == (503, "model_unloaded"), gone
    assert [model["id"] for model in pair.get("/v1/models").json["data"]] == [SMALL]
    assert pair.embed("text", model=SMALL).status == 200
    assert {(line["model"], line["state"]) for line in pair.get("/health/ready").json["models"]} == {
        (apus.DEFAULT_MODEL, "unloaded"), (SMALL, "ready")}
    again = act(pair, apus.DEFAULT_MODEL, "unload")
    assert again.status == 200, again
    assert act(pair, apus.DEFAULT_MODEL, "load").status == 200
    assert np.abs(apus.vectors(pair.embed(golden["texts"])) - before).max() < 1e-6
    assert act(pair, apus.DEFAULT_MODEL, "load").status == 200


def test_unknown_models_are_neither_loaded_nor_unloaded(pair):
    for action in ("load", "unload"):
        reply = act(pair, "nobody", action)
        assert (reply.status, reply.error["code"]) == (404, "model_not_found"), reply


def test_unloading_loses_nothing_that_was_accepted(pair):
    texts = [f"Number {number} of those that wait for their turn." for number in range(200)]
    started = threading.Barrier(21)

    def ask():
        started.wait()
        return pair.embed(texts)

    with concurrent.futures.ThreadPoolExecutor(20) as pool:
        asked = [pool.submit(ask) for _ in range(20)]
        started.wait()
        # Some are in the queue by now, some on their way.
        while pair.metric("apus_inputs_total", model=apus.DEFAULT_MODEL) == 0:
            time.sleep(0.001)
        assert act(pair, apus.DEFAULT_MODEL, "unload").status == 200
        replies = [future.result() for future in asked]
    answered = [reply for reply in replies if reply.status == 200]
    refused = [reply for reply in replies if reply.status != 200]
    assert answered and all(len(reply.json["data"]) == len(texts) for reply in answered)
    assert all(reply.error["code"] == "model_unloaded" for reply in refused), refused


def test_memory_goes_back_to_the_system(pair):
    """Five times over. What is left after each is what was left after the first: nothing piles up."""
    texts = [f"A swift sleeps on the wing, number {number}." for number in range(300)]
    figures = []
    for _ in range(5):
        assert pair.embed(texts).status == 200
        loaded = pair.own_bytes()
        assert act(pair, apus.DEFAULT_MODEL, "unload").status == 200
        # A worker lets go of a model beside its other work.
        most = min(loaded - 40 * MEBIBYTE, figures[0][1] + 8 * MEBIBYTE if figures else loaded)
        deadline = time.monotonic() + 30
        while (unloaded := pair.own_bytes()) > most and time.monotonic() < deadline:
            time.sleep(0.2)
        figures.append((loaded, unloaded))
        assert unloaded <= most, [tuple(round(figure / MEBIBYTE) for figure in turn) for turn in figures]
        assert act(pair, apus.DEFAULT_MODEL, "load").status == 200
