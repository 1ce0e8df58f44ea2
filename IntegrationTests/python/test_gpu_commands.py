"""`apus gpu …` and `apus doctor` as an operator types them, and the routes behind `gpu status`."""
import json
import os
import re
import shutil
import signal
import subprocess

import pytest

import apus

DONE, FAILED, USAGE = 0, 1, 2
WIDTH = 80


@pytest.fixture(scope="module")
def pair():
    """A server with two logical CPU devices, each in a worker process of its own."""
    with apus.Server("--devices", "cpu:2") as running:
        apus.eventually(lambda: all(device["state"] == "serving" and device["models"] for device in devices(running)))
        yield running
        assert running.process.poll() is None, running.output()


def devices(server):
    reply = server.get("/v1/devices")
    assert reply.status == 200, reply
    return reply.json["devices"]


def document(result, status=DONE):
    assert result.returncode == status, result.stderr
    assert len(result.stdout.splitlines()) == 1
    return json.loads(result.stdout)


def table(result, status=DONE, words=()):
    """The text of a command, checked for what holds of all of them."""
    assert result.returncode == status, result.stderr
    too_wide = [line for line in result.stdout.splitlines() if len(line) > WIDTH and re.search(r"\S\s+\S", line.strip())]
    assert not too_wide, too_wide
    assert "\x1b" not in result.stdout, "plain when nobody watches"
    for word in words:
        assert word in result.stdout, result.stdout
    return result.stdout


# --- gpu info

def test_info_tells_the_cpu_the_engine_and_whether_there_are_gpus():
    info = document(apus.run("gpu", "info", "--json"))
    cpu = next(device for device in info["devices"] if device["kind"] == "cpu")
    assert cpu["device"] == "cpu:0" and cpu["name"] and cpu["gpu"] is None
    assert set(cpu["cpu"]["cores"]) == os.sched_getaffinity(0)
    assert 1 <= cpu["cpu"]["available"] <= len(cpu["cpu"]["cores"])
    gpus = [device for device in info["devices"] if device["kind"] == "cuda"]
    assert info["nvml"]["available"] == bool(gpus)
    assert bool(info["nvml"]["reason"]) != bool(gpus)
    assert all(gpu["uuid"].startswith("GPU-") for gpu in gpus)
    assert re.fullmatch(r"1\.\d+\.\d+.*", info["engine"]["version"])
    assert "CPUExecutionProvider" in info["engine"]["providers"] and info["engine"]["error"] is None
    text = table(apus.run("gpu", "info"), words=["ONNX Runtime " + info["engine"]["version"]])
    assert ("no NVIDIA GPU" in text) == (not gpus)


def test_info_goes_on_without_an_engine(tmp_path):
    info = document(apus.run("gpu", "info", "--json", APUS_ENGINE=str(tmp_path / "missing.so")))
    assert "missing.so" in info["engine"]["error"]
    assert info["devices"]


@pytest.mark.parametrize("plugin", ["", "openvino", "nothing=x.so", "openvino="])
def test_info_refuses_plugins_that_are_none(plugin):
    result = apus.run("gpu", "info", "--plugin", plugin)
    assert result.returncode == USAGE
    assert "KIND=LIBRARY" in result.stderr


def test_info_tells_of_a_plugin_that_does_not_load(tmp_path):
    library = tmp_path / "provider.so"
    library.write_text("not a library")
    info = document(apus.run("gpu", "info", "--json", "--plugin", f"openvino={library}"))
    (refused,) = info["engine"]["refused"]
    assert refused["reason"]
    table(apus.run("gpu", "info", "--plugin", f"openvino={library}"), words=["cannot be used"])


# --- gpu status

def test_status_of_a_server(pair):
    # Several steps on each device: the first has no earlier one's storage to use again.
    for number in range(4):
        pair.embed([f"one {number}", f"two {number}", f"three {number}"])
    apus.eventually(lambda: all(device["memory"] and device["memory"]["buffers"]["hits"] > 0 for device in devices(pair)))
    status = document(apus.run("gpu", "status", "--json", "--url", pair.base))
    assert status["server"] == pair.base
    assert [device["device"] for device in status["devices"]] == ["cpu:0", "cpu:1"]
    assert status["remedy"] == "none" and status["capacity"] == 1 and status["fallback_rate"] == 0
    assert status["chaos"] is None and status["uptime_pct"] > 0 and status["engine"].startswith("ONNX Runtime 1.")
    assert status["average_latency_ms"] > 0 and status["texts_per_second"] > 0
    workers = pair.processes()[1:]
    for device in status["devices"]:
        assert device["state"] == "serving" and device["stage"] == "healthy" and device["health"]["verdict"] == "healthy"
        assert device["pid"] in workers and device["gpu"] is None and device["serves_as"] == "none"
        assert device["models"] == [apus.DEFAULT_MODEL]
        assert set(device["memory"]) == {
            "allocated_mb", "reserved_mb", "max_allocated_mb", "total_mb", "utilization_pct", "promised_mb", "worker_mb",
            "weights", "buffers"}
        assert device["memory"]["weights"]["layers_mb"] > 0 and device["memory"]["weights"]["embedding_mb"] > 0
        # The front and the worker have given tensors storage by now, and used it again.
        buffers = device["memory"]["buffers"]
        assert buffers["misses"] > 0 and buffers["hits"] > 0 and buffers["held_mb"] >= 0 and buffers["trimmed_mb"] >= 0
        assert device["memory"]["promised_mb"] > 0 and device["memory"]["worker_mb"] > 0
        assert device["memory"]["total_mb"] >= device["memory"]["reserved_mb"] >= device["memory"]["allocated_mb"] >= 0
    assert sum(device["sequences"] for device in status["devices"]) >= 3
    table(apus.run("gpu", "status", "--url", pair.base), words=["cpu:0", "cpu:1", "serving", "capacity 100 %", pair.base])
    table(apus.run("gpu", "status", "--url", pair.base + "/"), words=["cpu:1"])


def test_status_counts_a_worker_that_was_killed(pair):
    before = {device["device"]: device for device in devices(pair)}
    os.kill(before["cpu:1"]["pid"], signal.SIGKILL)
    apus.eventually(lambda: devices(pair)[1]["restarts"] == before["cpu:1"]["restarts"] + 1 and devices(pair)[1]["state"] == "serving")
    after = {device["device"]: device for device in document(apus.run("gpu", "status", "--json", "--url", pair.base))["devices"]}
    assert after["cpu:1"]["pid"] != before["cpu:1"]["pid"]
    assert after["cpu:1"]["last_reason"]["code"] == "worker_killed"
    assert after["cpu:0"]["pid"] == before["cpu:0"]["pid"] and after["cpu:0"]["restarts"] == before["cpu:0"]["restarts"]
    apus.eventually(lambda: devices(pair)[1]["memory"] is not None)


def test_probe_answers_with_the_device(pair):
    line = document(apus.run("gpu", "status", "--json", "--url", pair.base, "--probe", "cpu:0"))
    assert line["device"] == "cpu:0"
    table(apus.run("gpu", "status", "--url", pair.base, "--probe", "cpu:1"), words=["cpu:1"])
    result = apus.run("gpu", "status", "--url", pair.base, "--probe", "cuda:9")
    assert result.returncode == FAILED
    assert "cuda:9" in result.stderr and "cpu:0, cpu:1" in result.stderr
    assert apus.run("gpu", "status", "--url", pair.base, "--probe", "everything").returncode == USAGE


def test_status_without_a_server_there():
    result = apus.run("gpu", "status", "--url", f"http://127.0.0.1:{apus.free_port()}")
    assert result.returncode == FAILED
    assert len(result.stderr.strip().splitlines()) == 1 and "no server answers" in result.stderr


@pytest.mark.parametrize("url", ["", "127.0.0.1:8080", "https://127.0.0.1", "http://", "http://127.0.0.1:99999", "http://a?b"])
def test_status_refuses_addresses_that_are_none(url):
    result = apus.run("gpu", "status", "--url", url)
    assert result.returncode == USAGE
    assert "--url" in result.stderr


def test_status_of_something_else_that_listens(tmp_path):
    import http.server
    import threading

    class Stranger(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"<html>")

        def log_message(self, *_):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Stranger) as stranger:
        threading.Thread(target=stranger.serve_forever, daemon=True).start()
        result = apus.run("gpu", "status", "--url", f"http://127.0.0.1:{stranger.server_port}")
        stranger.shutdown()
    assert result.returncode == FAILED
    assert "no Apus server" in result.stderr


def test_status_of_the_machine_when_nothing_listens():
    import socket
    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", 8080)) == 0:
            pytest.skip("something listens on the default port of this machine")
    status = document(apus.run("gpu", "status", "--json"))
    assert status["server"] is None
    assert status["devices"][-1]["device"] == "cpu:0" and status["devices"][-1]["state"] == "unused"
    table(apus.run("gpu", "status"), words=["No server answers", "cpu:0", "unused"])


# --- the routes behind it

def test_caches_are_cleared_and_steps_are_profiled(pair):
    reply = pair.post("/v1/devices/clear_cache", b"")
    assert reply.status == 200 and [device["device"] for device in reply.json["devices"]] == ["cpu:0", "cpu:1"]
    assert pair.post("/v1/devices/cpu:1/clear_cache", b"").json["memory"]["worker_mb"] > 0
    folder = None
    for device in ("cpu:0", "cpu:1"):
        reply = pair.post(f"/v1/devices/{device}/profile", {"steps": 2})
        assert reply.status == 202, reply
        folder = reply.json["directory"]
    assert os.path.realpath(folder) == os.path.realpath(os.path.join(pair.folder.name, "logs/gpu_profiles"))

    def profiles():
        pair.embed([f"text {number}" for number in range(64)])
        return [name for name in os.listdir(folder) if not name.startswith(".")]
    apus.eventually(lambda: len(profiles()) >= 1)
    events = json.load(open(os.path.join(folder, profiles()[0])))
    assert {event["args"]["step"] for event in events} == {1, 2}
    assert any(event["name"] == "model_run" and event["dur"] > 0 for event in events)
    for steps in (0, -1, 1_000_000):
        reply = pair.post("/v1/devices/cpu:0/profile", {"steps": steps})
        assert reply.status == 400 and reply.error["code"] == "invalid_value" and reply.error["param"] == "steps", reply


def test_readiness_tells_capacity_and_failures_on_purpose(pair):
    ready = pair.get("/health/ready").json
    assert (ready["capacity"], ready["remedy"], ready["chaos"]) == (1, "none", None)
    with apus.Server("--devices", "cpu:2", "--chaos", "cpu:1:slow@1000000") as chaotic:
        assert chaotic.get("/health/ready").json["chaos"] == "cpu:1:slow@1000000"
        table(apus.run("gpu", "status", "--url", chaotic.base), words=["TEST MODE", "cpu:1:slow@1000000"])


# --- gpu benchmark and gpu explain

def test_benchmark_measures_every_device_against_the_cpu():
    result = apus.run("gpu", "benchmark", "--devices", "cpu:2", "--batches", "1,8", "--seconds", "0.2", "--json")
    measured = document(result)
    assert measured["model"] == apus.DEFAULT_MODEL and measured["failures"] == []
    assert [(row["device"], row["batch"]) for row in measured["results"]] == [
        (device, batch) for device in ("cpu", "cpu:0", "cpu:1") for batch in (1, 8)]
    for row in measured["results"]:
        assert row["latency_ms"] > 0 and row["rounds"] >= 3 and row["precision"] in ("fp32", "bf16")
        assert row["texts_per_second"] == pytest.approx(row["batch"] * 1000 / row["latency_ms"])
        cpu = next(other for other in measured["results"] if (other["device"], other["batch"]) == ("cpu", row["batch"]))
        assert row["speedup"] == pytest.approx(cpu["latency_ms"] / row["latency_ms"])
    table(apus.run("gpu", "benchmark", "--batches", "2", "--seconds", "0.1"), words=["cpu", "SPEED-UP", "1.00x"])


def test_benchmark_measures_how_a_cpu_shares_its_cores_out():
    result = apus.run("gpu", "benchmark", "--lanes", "--devices", "cpu", "--json")
    ways = document(result)["results"]
    # A lane for each core first, then fewer with the other cores beside them. One core has no choice.
    assert (len(ways) >= 2) == (len(os.sched_getaffinity(0)) > 1), ways
    for way in ways:
        assert way["device"] == "cpu:0" and way["lanes"] >= 1 and way["texts_per_second"] > 0
        assert way["lanes"] + way["helpers"] == ways[0]["lanes"]
    fastest = max(ways, key=lambda way: way["texts_per_second"], default=None)
    # Another way than the usual has to be clearly faster.
    expected = fastest if ways and fastest["texts_per_second"] >= 1.05 * ways[0]["texts_per_second"] else (ways or [None])[0]
    assert [way for way in ways if way["chosen"]] == [expected][:len(ways)]
    table(apus.run("gpu", "benchmark", "--lanes", "--devices", "cpu"), words=["THREADS BESIDE", "servers use this"] if ways else [])


@pytest.mark.parametrize("arguments", [("--batches", ""), ("--batches", "0"), ("--batches", "1,,2"), ("--batches", "9999"), ("--seconds", "0")])
def test_benchmark_refuses_sizes_that_are_none(arguments):
    assert apus.run("gpu", "benchmark", *arguments).returncode == USAGE


def test_benchmark_of_a_device_that_is_not_there():
    result = apus.run("gpu", "benchmark", "--devices", "cuda:63", "--batches", "1")
    assert result.returncode == USAGE and "--devices" in result.stderr and "cuda:63" in result.stderr


def test_explain_tells_why():
    decisions = document(apus.run("gpu", "explain", "--json"))["decisions"]
    assert any(entry["device"] == "cpu:0" for entry in decisions)
    assert all(entry["outcome"] in ("chosen", "stand_in", "passed_over") and entry["reason"] for entry in decisions)
    named = document(apus.run("gpu", "explain", "--devices", "cpu:2", "--json"))["decisions"]
    assert {entry["device"] for entry in named if entry["outcome"] == "chosen"} == {"cpu:0", "cpu:1"}
    table(apus.run("gpu", "explain", "--devices", "cpu:2"), words=["cpu:0", "cpu:1", "chosen"])
    result = apus.run("gpu", "explain", "--devices", "cpu:x")
    assert result.returncode == USAGE and "cpu:x" in result.stderr


# --- doctor

def test_doctor_looks_at_workers_and_devices():
    checks = {check["name"]: check for check in document(apus.run("doctor", "--json"))["checks"]}
    assert {"engine", "worker", "model", "shared memory", "gpus", "port", "threads", "cores"} <= set(checks)
    assert checks["worker"]["status"] == checks["shared memory"]["status"] == checks["cores"]["status"] == "ok"
    assert re.search(r"process \d+ said hello with ONNX Runtime 1\.", checks["worker"]["detail"])
    table(apus.run("doctor"), words=["worker: process", "shared memory", "cores"])


# --- with GPUs that no machine has

@pytest.fixture(scope="module")
def fake(tmp_path_factory):
    """Makes fake driver libraries (Tests/Fixtures/FakeNVML) that play a script; gives the environment that names them."""
    sources = apus.ROOT / "Tests/Fixtures/FakeNVML"
    built = tmp_path_factory.mktemp("built")
    compiler = shutil.which("clang") or shutil.which("cc")
    assert compiler, "Swift's toolchain brings clang"
    for output, source in (("nvml.so", "FakeNVML.c"), ("cuda.so", "FakeCUDA.c")):
        subprocess.run([compiler, "-std=gnu11", "-shared", "-fPIC", "-o", built / output, sources / source, "-ldl"], check=True)

    def make(*lines):
        folder = tmp_path_factory.mktemp("fake")
        for library in ("nvml.so", "cuda.so"):
            shutil.copy(built / library, folder)
        (folder / "script").write_text("\n".join(lines) + "\n")
        return {"APUS_NVML": str(folder / "nvml.so"), "APUS_CUDA": str(folder / "cuda.so")}
    return make


def test_eight_gpus_fit_eighty_columns(fake):
    machine = fake("count 8", "order 7 6 5 4 3 2 1 0", "gpu 0 temperature 95", "gpu 3 answer 15")
    info = document(apus.run("gpu", "info", "--json", **machine))
    gpus = {device["device"]: device for device in info["devices"] if device["kind"] == "cuda"}
    assert info["nvml"]["available"] and info["nvml"]["driver_version"] == "580.65.06" and info["nvml"]["cuda_version"] == "13.0"
    assert gpus["cuda:7"]["gpu"]["nvml_index"] == 0 and gpus["cuda:7"]["gpu"]["temperature_celsius"] == 95
    assert gpus["cuda:7"]["health"]["verdict"] != "healthy" and gpus["cuda:6"]["health"]["verdict"] == "healthy"
    assert "cuda:4" not in gpus or gpus["cuda:4"]["health"]["verdict"] == "fall_back", "NVML's GPU 3 is lost"
    text = table(apus.run("gpu", "info", **machine), words=["580.65.06", "cuda:7", "95 C", gpus["cuda:6"]["uuid"]])
    assert "no NVIDIA GPU" not in text
    table(apus.run("gpu", "explain", **machine), words=["cuda:7"])
    table(apus.run("doctor", **machine), words=["WARNING gpus"])


def test_a_driver_without_gpus_is_told(fake):
    machine = fake("count 0")
    info = document(apus.run("gpu", "info", "--json", **machine))
    assert not info["nvml"]["available"] and info["nvml"]["reason"]
    table(apus.run("gpu", "info", **machine), words=["no NVIDIA GPU"])
    missing = {"APUS_NVML": str(apus.ROOT / "nothing.so")}
    assert "nothing.so" in document(apus.run("gpu", "info", "--json", **missing))["nvml"]["reason"]


def test_status_of_simulated_accelerators():
    with apus.Server("--devices", "sim:2") as running:
        # A server is ready when one of its devices is.
        apus.eventually(lambda: all(device["gpu"]["memory"] and device["state"] == "serving" for device in devices(running)[:2]))
        status = document(apus.run("gpu", "status", "--json", "--url", running.base))
        assert [(device["device"], device["state"]) for device in status["devices"]] == [
            ("sim:0", "serving"), ("sim:1", "serving"), ("cpu:0", "standby")]
        assert status["devices"][0]["gpu"]["temperature_celsius"] > 0 and status["devices"][2]["gpu"] is None
        table(apus.run("gpu", "status", "--url", running.base), words=["sim:1", "standby"])
