"""The device check and its kit, on the CPU: what runs on a machine with a GPU runs here with CPU devices."""

import os
import pathlib
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]
APUS = ROOT / ".build/release/apus"


def run(*arguments, env=None):
    return subprocess.run(
        [str(argument) for argument in arguments], cwd=ROOT, capture_output=True, text=True, timeout=300,
        env={**os.environ, **(env or {})})


def test_the_check_passes_on_a_cpu_device(tmp_path):
    report = tmp_path / "report.md"
    result = run("scripts/gpu-check", "run", "--devices", "cpu", "--quick", "--report", report)
    assert result.returncode == 0, result.stdout + result.stderr
    text = report.read_text()
    assert text == result.stdout
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("| cpu:0 |")]
    outcomes = {row[1]: row[2] for row in rows if len(row) == 4}
    assert outcomes == {
        "parity with the CPU": "passed", "two lanes": "passed", "injected oom": "passed", "injected sticky": "passed",
        "injected crash": "passed", "injected hang": "passed", "provoked out-of-memory": "skipped", "kill -9 under load": "passed",
    }
    speeds = [row for row in rows if len(row) == 5]
    assert [row[1] for row in speeds] == ["1", "32"] and all(float(row[3]) > 0 for row in speeds)


def test_a_kit_needs_nothing_of_the_clone(tmp_path):
    """A folder as `pack` lays it out, with the program of this build, runs from somewhere else and with nothing in its environment."""
    kit = tmp_path / "kit"
    (kit / ".apus/engine").mkdir(parents=True)
    (kit / ".apus/models").mkdir()
    (kit / "apus").symlink_to(APUS)
    # The program looks beside its real path first, which here is the clone's: the home is named.
    (kit / ".apus/engine/lib").symlink_to(ROOT / ".apus/engine/lib")
    (kit / ".apus/models/all-MiniLM-L6-v2").symlink_to(ROOT / ".apus/models/all-MiniLM-L6-v2")
    script = kit / "gpu-check"
    script.write_text((ROOT / "scripts/gpu-check").read_text())
    script.chmod(0o755)
    result = subprocess.run(
        [str(script), "--help"], cwd="/", capture_output=True, text=True, timeout=60, env={"PATH": os.environ["PATH"]})
    assert result.returncode == 0 and "gpu check" in result.stdout


def test_devices_that_do_not_exist_are_refused_before_anything_starts():
    result = run("scripts/gpu-check", "run", "--devices", "cuda:0")
    assert result.returncode in (1, 2, 78)
    assert "cuda:0" in result.stderr and "--devices" in result.stderr
    assert "|" not in result.stdout
