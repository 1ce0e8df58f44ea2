"""Configuration files and environment: precedence, and every mistake reported at once with status 78."""
import json
import re

import pytest

import apus

CONFIGURATION = 78


def serve(path, *arguments, **env):
    return apus.run("serve", "--config", path, "--port", apus.free_port(), *arguments, timeout=60, **env)


def write(folder, name, text):
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


UNKNOWN_KEYS = {
    "config.yaml": ("server:\n  host: 127.0.0.1\n  prot: 8080\n", 3, "prot", "port"),
    "config.toml": ('[server]\nhost = "127.0.0.1"\n\nprot = 8080\n', 4, "prot", "port"),
}


@pytest.mark.parametrize("name", UNKNOWN_KEYS)
def test_an_unknown_key_is_told_with_file_line_and_nearest_name(tmp_path, name):
    text, line, key, nearest = UNKNOWN_KEYS[name]
    result = serve(write(tmp_path, name, text))
    assert result.returncode == CONFIGURATION, result.stderr
    report = result.stderr
    assert re.search(rf"{re.escape(name)}:{line}\b", report), report
    assert key in report and nearest in report


@pytest.mark.parametrize("name,text", [
    ("config.yaml", "server:\n  port: eighty\n  hots: a\nsrever: {}\n"),
    ("config.toml", '[server]\nport = "eighty"\nhots = "a"\n[srever]\n'),
])
def test_all_mistakes_are_told_at_once(tmp_path, name, text):
    result = serve(write(tmp_path, name, text))
    assert result.returncode == CONFIGURATION, result.stderr
    for word in ("port", "hots", "srever"):
        assert word in result.stderr, result.stderr
    assert len(set(re.findall(rf"{re.escape(name)}:(\d+)", result.stderr))) == 3, result.stderr


BROKEN = {
    "no YAML": ("config.yaml", "server: [1,\n"),
    "no TOML": ("config.toml", "[server\n"),
    "a list": ("config.yaml", "- a\n- b\n"),
    "port too high": ("config.yaml", "server:\n  port: 65536\n"),
    "negative port": ("config.yaml", "server:\n  port: -1\n"),
    "key twice": ("config.yaml", "server:\n  port: 8080\n  port: 8081\n"),
    "key twice in TOML": ("config.toml", "[server]\nport = 8080\nport = 8081\n"),
    "unknown precision": ("config.yaml", "precision: fp12\n"),
    "unknown format": ("config.ini", "[server]\nport = 8080\n"),
}


@pytest.mark.parametrize("name,text", BROKEN.values(), ids=BROKEN.keys())
def test_broken_files_end_with_78(tmp_path, name, text):
    result = serve(write(tmp_path, name, text))
    assert result.returncode == CONFIGURATION, (result.returncode, result.stderr)
    assert name in result.stderr


def test_a_missing_file_ends_with_78(tmp_path):
    result = serve(tmp_path / "missing.yaml")
    assert result.returncode == CONFIGURATION
    assert "missing.yaml" in result.stderr


@pytest.mark.parametrize("name,text", [
    ("config.yaml", "server:\n  host: 127.0.0.1\n  port: 1\n"),
    ("config.toml", '[server]\nhost = "127.0.0.1"\nport = 1\n'),
])
def test_a_flag_wins_over_the_file(tmp_path, name, text):
    with apus.Server("--config", write(tmp_path, name, text)) as server:
        assert server.embed("text").status == 200


def test_models_can_be_named_in_the_file(tmp_path):
    path = write(tmp_path, "config.yaml", f"models:\n  - {json.dumps(str(apus.TINY / 'bert-mean'))}\n")
    with apus.Server("--config", path) as server:
        assert [model["id"] for model in server.get("/v1/models").json["data"]] == ["bert-mean"]
