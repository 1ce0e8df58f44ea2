"""Devices that share a model: plans take effect, and survive the loss of devices in the middle of load. A ledger by id shows that no client notices.

The long version is `Benchmarks/plan_failures.py`.
"""
import collections
import contextlib
import json
import os
import pathlib
import signal
import struct
import sys
import threading
import time

import numpy as np
import pytest

import apus
import ledger
from apus import eventually

sys.path.insert(0, str(apus.ROOT / "Benchmarks"))
import plan_failures  # noqa: E402

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="finds workers in /proc")

USAGE, CONFIGURATION = 2, 78
FP32 = ("--precision", "fp32")


@pytest.fixture(scope="module")
def texts():
    return ledger.Texts(512, 4, precision="fp32")


def plan(server):
    return server.get("/v1/devices").json["plan"]


def step(server):
    last = plan(server)["last_step"]
    return last and (last["step"], last["cause"])


def serving(server):
    return [unit["devices"] for unit in plan(server)["units"] if unit["state"] == "serving"]


def loaded(server, texts, act, until, seconds=60):
    """The ledger of a closed loop of four clients in which `act` happens, and which goes on until something is so."""
    load, looked, is_so = ledger.Load(server.port, texts), time.monotonic(), False
    acted = threading.Timer(0.5, act)
    acted.start()

    def over():
        nonlocal looked, is_so
        if time.monotonic() - looked < 0.1 or acted.is_alive():
            return False
        looked, is_so = time.monotonic(), until()
        return is_so

    load.closed_loop(4, seconds, until=over)
    load.close()
    acted.join()
    assert is_so, f"not so after {seconds} s: {plan(server)}\n{server.output()}"
    assert not load.ledger.complaints(), f"{load.ledger.complaints()}\n{server.output()}"
    assert not load.ledger.books()["errors"] and load.ledger.books()["answered"] > 10, load.ledger.books()
    return load.ledger


FORMS = {
    "tensor": (["--devices", "cpu:2", "--tensor-parallel", "2"], "[[0,1]]", [[["cpu:0", "cpu:1"]]]),
    "pipeline": (["--devices", "cpu:2", "--pipeline-parallel", "2"], "[[0],[1]]", [[["cpu:0"], ["cpu:1"]]]),
    "data parallel": (["--devices", "cpu:2", "--strategy", "data_parallel"], "[[[0]],[[1]]]", [[["cpu:0"]], [["cpu:1"]]]),
    "hybrid": (["--devices", "cpu:4", "--tensor-parallel", "2", "--pipeline-parallel", "2"], "[[0,1],[2,3]]",
               [[["cpu:0", "cpu:1"], ["cpu:2", "cpu:3"]]]),
}


@pytest.mark.parametrize("arguments,shown,units", FORMS.values(), ids=FORMS.keys())
def test_a_worker_that_is_killed_under_load_costs_no_request_and_the_plan_serves_again(texts, arguments, shown, units):
    with apus.Server(*arguments, *FP32) as server:
        assert plan(server)["wished"] == plan(server)["current"] == shown and serving(server) == units
        vectors = apus.vectors(server.embed(texts.groups[0]))
        cosine, difference = apus.agreement(vectors, texts.expected(0))
        assert cosine >= 0.99999, (cosine, difference)
        killed = server.workers()[0]
        books = loaded(server, texts, lambda: os.kill(killed, signal.SIGKILL),
                       lambda: step(server) is not None and step(server)[0] == "restored" and serving(server) == units)
        assert killed not in server.workers()
        waits = [entry.latency for entry in books.entries.values() if entry.ok]
        assert max(waits) < 5, max(waits)
        first = "shrunk" if "data_parallel" in arguments else "dissolved"
        assert server.metric("apus_plan_steps_total", step=first, cause="killed") == 1
        assert server.metric("apus_plan_steps_total", step="restored") == 1 and server.metric("apus_plan_degraded") == 0
        assert f"plan: {first} (killed)" in server.output() and "plan: restored" in server.output()
        status = apus.run("gpu", "status", "--url", server.base).stdout
        assert f"plan {shown}" in status and "restored" in status, status


@pytest.fixture(scope="module")
def stored():
    """Bytes of the checkpoint's layers and of its tables, read from the safetensors header."""
    with open(apus.MODEL_DIRECTORY / "model.safetensors", "rb") as file:
        header = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
    sizes = {name: entry["data_offsets"][1] - entry["data_offsets"][0] for name, entry in header.items() if name != "__metadata__"}
    return tuple(sum(size for name, size in sizes.items() if part in name) for part in (".layer.", "embeddings."))


MEBIBYTE = 1 << 20


@pytest.mark.parametrize("size", ("--tensor-parallel", "--pipeline-parallel"))
def test_each_of_two_devices_holds_half_of_the_layers(stored, size):
    layers, tables = stored
    with apus.Server("--devices", "cpu:2", size, "2", *FP32) as server:
        server.embed(["some text to compute with", "and a second one, which is longer than the first"])
        eventually(lambda: all(device["memory"] and device["memory"]["allocated_mb"] for device in server.get("/v1/devices").json["devices"]), server=server)
        eventually(lambda: plan(server)["units"][0]["measured_balance"], server=server)
        (unit,) = plan(server)["units"]
        assert 1 <= unit["predicted_balance"] < 1.2 and unit["measured_balance"] >= 1
        held = [device["memory"] for device in server.get("/v1/devices").json["devices"]]
        weights = [memory["weights"] for memory in held]
        # Fractions are rounded to a hundredth of a MiB or finer.
        assert all(0.45 * layers < one["layers_mb"] * MEBIBYTE <= 0.55 * layers for one in weights), (weights, layers)
        assert layers <= sum(one["layers_mb"] for one in weights) * MEBIBYTE + 0.02 * MEBIBYTE
        told = [tables, tables if "tensor" in size else 0]
        assert all(abs(one["embedding_mb"] * MEBIBYTE - bytes) < 0.01 * tables for one, bytes in zip(weights, told)), (weights, tables)
        # What is counted as allocated is that, and not another copy of it: ranks read the table in the same pages, which count on the first.
        own = [0.5 * layers + tables, 0.5 * layers]
        for memory, bytes in zip(held, own):
            assert bytes * 0.95 < memory["allocated_mb"] * MEBIBYTE < 1.1 * bytes, (held, own)
        # Promised is what is allocated at most when the largest batches run, and the engine's own tables of some MiB.
        for memory in held:
            assert memory["max_allocated_mb"] <= memory["promised_mb"] < memory["allocated_mb"] + 13, held
        status = apus.run("gpu", "status", "--url", server.base).stdout
        assert "EMBEDDING" in status and f"{weights[0]['layers_mb']:.1f} MiB" in status and "balance of [[cpu:0" in status, status


def threads(pid):
    """The name of each thread of a process, and the cores that it may run on."""
    found = []
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(OSError):  # it may have ended since
            status = dict(line.split(":\t", 1) for line in (task / "status").read_text().splitlines() if ":\t" in line)
            found.append((status["Name"], status["Cpus_allowed_list"]))
    return found


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity") or len(os.sched_getaffinity(0)) < 2, reason="one core is all cores")
@pytest.mark.parametrize("arguments", ([], ["--in-process"]), ids=("worker", "in process"))
def test_only_a_devices_own_threads_are_kept_on_its_cores(texts, arguments):
    with apus.Server(*arguments, "--devices", "cpu:2", "--tensor-parallel", "2", *FP32) as server:
        load = ledger.Load(server.port, texts)
        load.closed_loop(4, 2)
        load.close()
        # Loading again, and looking after memory when nothing has run for four seconds, may each start threads from a device's own.
        for action, status in (("unload", 503), ("load", 200)):
            server.post(f"/v1/models/{apus.DEFAULT_MODEL}/{action}", {})
            eventually(lambda: server.embed("there?").status == status, server=server)
        time.sleep(6)
        pid = server.process.pid if arguments else server.workers()[0]
        everywhere = dict(line.split(":\t", 1) for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines() if ":\t" in line)["Cpus_allowed_list"]
        kept = collections.Counter(cores for _, cores in threads(pid) if cores != everywhere)
        # Each device's lane and its loader, and with more cores for a device the threads that the engine has beside them.
        cores = len(os.sched_getaffinity(0)) // 2
        assert len(kept) == 2 and all(2 <= count <= 1 + cores for count in kept.values()) if cores > 1 else sorted(kept.values()) == [2, 2], threads(pid)


FAULTS = {
    "tensor": (["--devices", "cpu:2", "--tensor-parallel", "2"], "cpu:1:sticky@40", "one_device", [[["cpu:0"]]]),
    "pipeline, its first device": (["--devices", "cpu:2", "--pipeline-parallel", "2"], "cpu:0:lost@40", "one_device", [[["cpu:1"]]]),
    "hybrid": (["--devices", "cpu:4", "--tensor-parallel", "2", "--pipeline-parallel", "2"], "cpu:3:sticky@40", "reduced", None),
    "hybrid on accelerators": (["--devices", "sim:4", "--tensor-parallel", "2", "--pipeline-parallel", "2"], "sim:1:lost@40", "reduced", None),
    "in one process": (["--in-process", "--devices", "cpu:2", "--tensor-parallel", "2"], "cpu:1:lost@40", "one_device", [[["cpu:0"]]]),
}


@pytest.mark.parametrize("arguments,chaos,kind,units", FAULTS.values(), ids=FAULTS.keys())
def test_a_device_that_fails_under_load_is_planned_around(texts, arguments, chaos, kind, units):
    with apus.Server(*arguments, *FP32, "--chaos", chaos) as server:
        device = chaos.rpartition(":")[0]
        seen = []

        def is_reduced():
            if step(server) and step(server)[0] == kind and all(unit["state"] == "serving" for unit in plan(server)["units"]):
                seen.append(serving(server))
            return bool(seen)

        books = loaded(server, texts, lambda: None, is_reduced)
        assert max(entry.latency for entry in books.entries.values() if entry.ok) < 5
        if units is not None:
            assert seen[0] == units
        assert seen[0] and all(device not in rank for unit in seen[0] for rank in unit), seen
        assert device in plan(server)["away"]
        assert server.metric("apus_plan_steps_total", step=kind) == server.metric("apus_plan_steps_total", step="dissolved") == 1
        assert server.metric("apus_plan_degraded") == 1
        assert server.get("/health/ready").json["remedy"] == "fewer_devices"


def test_a_device_that_has_come_back_is_taken_in_again_without_a_gap(texts):
    arguments = ["--devices", "cpu:2", "--pipeline-parallel", "2", "--chaos", "cpu:1:sticky@40"]
    with apus.Server(*arguments, *FP32) as server:
        books = loaded(server, texts, lambda: None, lambda: step(server) == ("restored", "returned") and serving(server) == [[["cpu:0"], ["cpu:1"]]])
        assert max(entry.latency for entry in books.entries.values() if entry.ok) < 5
        assert server.metric("apus_plan_steps_total", step="one_device") == 1
        # The one device went when the group was there, and its worker with it.
        eventually(lambda: len(server.workers()) == 1, server=server)
        assert server.get("/v1/devices").json["capacity"] == 1


def test_replicas_follow_the_queue(tmp_path, texts):
    path = tmp_path / "apus.yaml"
    path.write_text("devices: {list: 'cpu:2'}\nparallel: {strategy: data_parallel, min_replicas: 1, max_replicas: 2}\n", encoding="utf-8")
    with apus.Server("--config", path, *FP32) as server:
        assert plan(server)["replicas"] == 1 and plan(server)["max_replicas"] == 2 and len(server.workers()) == 1
        load = ledger.Load(server.port, texts, connections=96)
        load.closed_loop(96, 60, until=lambda: len(serving(server)) == 2)
        load.close()
        assert serving(server) == [[["cpu:0"]], [["cpu:1"]]], server.output()
        assert not load.ledger.complaints() and server.metric("apus_plan_steps_total", step="scaled_up", cause="queue") == 1


REFUSED = {
    "more heads than there are": (["--devices", "cpu:5", "--tensor-parallel", "5"], ["--tensor-parallel", "12", "5", "nearest plan"]),
    "more stages than layers": (["--devices", "cpu:8", "--pipeline-parallel", "8"], ["--pipeline-parallel", "8 > 6"]),
    "more devices than there are": (["--devices", "cpu:2", "--tensor-parallel", "2", "--replicas", "2"], ["--replicas", "4", "2"]),
    "a strategy against its sizes": (["--devices", "cpu:2", "--strategy", "pipeline", "--tensor-parallel", "2"], ["contradicts"]),
}


@pytest.mark.parametrize("arguments,words", REFUSED.values(), ids=REFUSED.keys())
def test_an_impossible_plan_is_refused_before_anything_is_started(arguments, words):
    result = apus.run("serve", "--port", apus.free_port(), *arguments, timeout=60)
    assert result.returncode == USAGE, result.stderr
    assert "listening" not in result.stderr and "serves: worker" not in result.stderr
    for word in words:
        assert word in result.stderr, result.stderr


def test_what_a_file_asks_for_and_cannot_have_is_refused_with_its_line(tmp_path):
    path = tmp_path / "apus.yaml"
    path.write_text("devices: {list: 'cpu:2'}\nparallel:\n  min_replicas: 2\n", encoding="utf-8")
    result = apus.run("serve", "--port", apus.free_port(), "--config", path, timeout=60)
    assert result.returncode == CONFIGURATION and "apus.yaml:3: parallel.min_replicas" in result.stderr, result.stderr


def test_int8_is_refused_where_devices_share_each_layer():
    result = apus.run("serve", "--port", apus.free_port(), "--devices", "cpu:2", "--tensor-parallel", "2", "--precision", "int8", timeout=60)
    assert result.returncode == 1 and "int8" in result.stderr.splitlines()[-1] and "fp32" in result.stderr.splitlines()[-1], result.stderr


def test_without_a_plan_there_is_none_to_see():
    with apus.Server("--devices", "cpu:2") as server:
        assert "plan" not in server.get("/v1/devices").json
        assert not any(line.startswith("apus_plan_") for line in server.get("/metrics").body.decode().splitlines())
        assert "plan" not in apus.run("gpu", "status", "--url", server.base).stdout
        assert len(server.workers()) == 2


def test_the_benchmark_tells_a_gap_in_answers():
    class Entry:
        def __init__(self, due, ended):
            self.due, self.ended, self.ok = due, ended, True

    class Books:
        entries = {number: Entry(due, ended) for number, (due, ended) in enumerate([(0, 0.5), (1, 1.2), (1.1, 3.2), (3, 3.3)])}

    assert np.isclose(plan_failures.silence(Books, 1), 2.0)
