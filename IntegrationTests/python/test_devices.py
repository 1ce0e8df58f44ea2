"""Devices: what may be asked for, what is refused and how, and what a server says about those it took."""
import json
import re
import socket
import time

import pytest

import apus

USAGE, CONFIGURATION, FAILED = 2, 78, 1


def serve(*arguments, **env):
    return apus.run("serve", "--host", "127.0.0.1", "--port", apus.free_port(), *arguments, timeout=60, **env)


def refused(result, status):
    """The one line that a refusal is; nothing else happened before it."""
    assert result.returncode == status, (result.returncode, result.stderr)
    lines = [line for line in result.stderr.splitlines() if line.strip()]
    assert len(lines) == 1, result.stderr
    assert "listening" not in result.stderr
    return lines[0]


def configuration(folder, text):
    path = folder / "apus.yaml"
    path.write_text(text, encoding="utf-8")
    return path


COMMAND_LINES = {
    "a GPU that is not there": (["--devices", "cuda:7"], ["--devices", "cuda:7", "Available: cpu"]),
    "no list": (["--devices", "cpu:x"], ["--devices", "cpu:x", "cuda:0,1"]),
    "no kind": (["--devices", "tpu"], ["--devices", "tpu", "cuda"]),
    "a kind twice": (["--devices", "cpu:2,cpu"], ["--devices", "cpu is named twice"]),
    "too many": (["--devices", "cpu:100000"], ["--devices", "256"]),
    "a provider without a library": (["--devices", "webgpu:0"], ["--devices", "webgpu:0", "Available: cpu"]),
    "chaos that is none": (["--chaos", "oom"], ["--chaos", "DEVICE:FAULT@WHEN"]),
    "chaos on a device that is not there": (["--devices", "cpu:2", "--chaos", "cpu:2:oom@1"], ["--chaos", "cpu:2", "cpu:0, cpu:1"]),
    "chaos that needs workers": (["--in-process", "--chaos", "cpu:0:crash@1"], ["--chaos", "crash", "worker processes"]),
}


@pytest.mark.parametrize("arguments,words", COMMAND_LINES.values(), ids=COMMAND_LINES.keys())
def test_a_command_line_that_cannot_be_had_is_refused_in_one_line_with_status_2(arguments, words):
    line = refused(serve(*arguments), USAGE)
    for word in words:
        assert word in line, line


FILES = {
    "a GPU that is not there, without a fallback": (
        "devices:\n  list: cuda:0\n  fallback: fail\n", ["apus.yaml:2: devices.list", "cuda:0", "Available: cpu"]),
    "no list": ("devices:\n  list: cpu:x\n", ["apus.yaml:2: devices.list", "cpu:x"]),
    "an assignment to a device that is not used": (
        "devices:\n  list: cpu:2\nmodel_assignments:\n  all-MiniLM-L6-v2: 5\n",
        ["apus.yaml:3: model_assignments", "all-MiniLM-L6-v2", "cpu:5", "cpu:0, cpu:1"]),
    "a plugin that is no provider": ("devices:\n  plugins:\n    webgpu: /bin/ls\n", ["devices.plugins.webgpu", "/bin/ls"]),
}


@pytest.mark.parametrize("text,words", FILES.values(), ids=FILES.keys())
def test_a_file_that_cannot_be_had_is_refused_in_one_line_with_status_78(tmp_path, text, words):
    line = refused(serve("--config", configuration(tmp_path, text)), CONFIGURATION)
    for word in words:
        assert word in line, line


def test_contradictions_and_chaos_in_a_file_are_refused_with_their_lines(tmp_path):
    text = "gpu: {fallback_enabled: false}\ndevices: {fallback: cpu, retry_limit: 7, temporary_limit: 6}\nchaos: cpu:0:oom@1\n"
    result = serve("--config", configuration(tmp_path, text))
    assert result.returncode == CONFIGURATION, result.stderr
    for words in ("apus.yaml:2: devices.fallback: 'cpu' contradicts", "apus.yaml:2: devices.retry_limit", "apus.yaml:3: chaos: unknown key"):
        assert words in result.stderr, result.stderr


@pytest.mark.parametrize("flags", [[], ["--in-process"]], ids=["workers", "in-process"])
def test_a_library_that_is_no_engine_is_told_by_its_path(flags):
    result = serve(*flags, APUS_ENGINE="/bin/ls")
    assert result.returncode == FAILED
    assert result.stderr.splitlines()[-1].startswith("apus: /bin/ls: ONNX Runtime could not be loaded"), result.stderr
    if not flags:
        refused(result, FAILED)


def test_an_address_in_use_is_told_before_a_worker_is_started():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        result = apus.run("serve", "--host", "127.0.0.1", "--port", taken.getsockname()[1], timeout=60)
    assert result.returncode == FAILED
    assert "another process already listens on" in result.stderr.splitlines()[-1], result.stderr
    assert "serves: worker" not in result.stderr, result.stderr


def test_a_model_that_fits_nowhere_ends_the_start_with_the_arithmetic(tmp_path):
    result = serve("--config", configuration(tmp_path, "devices: {list: 'sim:1', memory_limit_mb: 20}\n"))
    assert result.returncode == FAILED
    line = result.stderr.splitlines()[-1]
    assert re.search(r"needs \d+ MiB on sim:0: weights \d+ \+ working memory \d+ \+ context \d+; 20 MiB are free", line), line


def test_devices_of_a_file_that_are_missing_are_a_warning_with_a_fallback(tmp_path):
    with apus.Server("--config", configuration(tmp_path, "devices:\n  list: cuda:0,1\n")) as server:
        assert server.embed("text").headers["x-apus-device"] == "cpu:0"
        assert re.search(r"WARNING .*apus.yaml:2: devices.list: cuda:0, cuda:1 cannot be used", server.output())


def test_the_command_line_goes_before_the_file(tmp_path):
    with apus.Server("--config", configuration(tmp_path, "devices: {list: 'cuda:0', fallback: fail}\n"), "--devices", "cpu:2") as server:
        assert {model["device"] for model in server.get("/health/ready").json["models"]} == {"cpu:0", "cpu:1"}


def test_assigned_models_run_on_their_devices_only(tmp_path):
    text = f"""
        devices: {{list: 'cpu:2'}}
        models:
          - {{path: {json.dumps(str(apus.TINY / 'bert-mean'))}, id: one}}
          - {{path: {json.dumps(str(apus.TINY / 'bert-cls-fp16'))}, id: two}}
          - {{path: {json.dumps(str(apus.TINY / 'bert-mean'))}, id: three}}
        model_assignments: {{one: 0, two: 1, ethics_critic: 1}}
        """
    with apus.Server("--config", configuration(tmp_path, text)) as server:
        devices = {model["id"]: set(model["devices"]) for model in server.get("/v1/models").json["data"]}
        assert devices == {"one": {"cpu:0"}, "two": {"cpu:1"}, "three": {"cpu:0", "cpu:1"}}
        for _ in range(5):
            assert server.embed("text", model="one").headers["x-apus-device"] == "cpu:0"
            assert server.embed("text", model="two").headers["x-apus-device"] == "cpu:1"
        assert "no model is served as ethics_critic" in server.output()


def test_another_device_takes_an_assigned_model_over_while_its_own_is_away(tmp_path):
    text = f"""
        devices: {{list: 'sim:2'}}
        models:
          - {{path: {json.dumps(str(apus.TINY / 'bert-mean'))}, id: one}}
        model_assignments: {{one: 0}}
        """
    with apus.Server("--config", configuration(tmp_path, text), "--chaos", "sim:0:lost@3") as server:
        answers = []
        deadline = time.monotonic() + 60
        # A lost device is not expected back.
        while time.monotonic() < deadline and answers[-1:] != [("sim:1", "permanent")]:
            reply = server.embed(f"text {len(answers)}", model="one")
            assert reply.status == 200, reply
            answers.append((reply.headers["x-apus-device"], reply.headers["x-apus-fallback"]))
        assert answers[0] == ("sim:0", "none")
        assert answers[-1] == ("sim:1", "permanent"), answers


def test_a_device_that_fails_on_purpose_in_this_process_still_says_who_runs_it():
    with apus.Server("--in-process", "--devices", "cpu:1", "--chaos", "cpu:0:oom@1000000") as server:
        device = server.get("/v1/devices/cpu:0").json
        assert device["pid"] == server.process.pid and device["engine"], device


def test_simulated_devices_are_marked_and_have_sensors():
    with apus.Server("--devices", "sim:2", "--chaos", "sim:0:slow@1000000") as server:
        assert "SIMULATED" in server.output() and "CHAOS" in server.output()
        assert server.get("/health/ready").json["chaos"] == "sim:0:slow@1000000"
        deadline = time.monotonic() + 60
        metrics = ""
        while time.monotonic() < deadline and 'apus_device_memory_allocated_bytes{device="sim:1"}' not in metrics:
            time.sleep(0.2)
            metrics = server.get("/metrics").body.decode()
        for line in ('gpu_temperature_celsius{gpu_id="sim:0"}', 'gpu_memory_used_bytes{gpu_id="sim:1"}', "apus_chaos_active 1",
                     'apus_device_memory_allocated_bytes{device="sim:1"}'):
            assert line in metrics, line


def test_a_device_slower_than_the_threshold_is_left_out_and_explained(tmp_path):
    path = configuration(tmp_path, "devices: {list: 'sim:2', performance_threshold: 50}\n")
    with apus.Server("--config", path) as server:
        assert server.embed("text").headers["x-apus-device"] == "cpu:0"
        assert re.search(r"sim:0 .*times the CPU's measured speed, and 50.0 times is asked for", server.output()), server.output()
    explained = apus.run("gpu", "explain", "--config", path)
    assert explained.returncode == 0 and "sim:0" in explained.stdout and "times the CPU's" in " ".join(explained.stdout.split())


@pytest.mark.parametrize("name", ["gpu.yaml", "gpu.toml"])
def test_a_platform_file_starts_a_server_on_a_machine_without_a_gpu(tmp_path, name):
    source = (apus.ROOT / "Tests/ApusConfigurationTests/PlatformFixtures.swift").read_text(encoding="utf-8")
    block = re.search(rf'static let {name.split(".")[1]} = """\n(.*?)\n        """', source, re.S)[1]
    path = tmp_path / name
    path.write_text("\n".join(line[8:] for line in block.splitlines()) + "\n", encoding="utf-8")
    with apus.Server("--config", path) as server:
        assert server.embed("text").status == 200
        assert "no CUDA device on this machine" in server.output()
