"""`apus embed`, `models`, `doctor` and `serve` as a person or a script types them, and their exit statuses."""
import json
import os
import re
import shutil
import socket
import subprocess

import numpy as np
import pytest

import apus

DONE, FAILED, USAGE = 0, 1, 2


def lines_of(result):
    assert result.returncode == DONE, result.stderr
    return [json.loads(line) for line in result.stdout.splitlines()]


def check(rows, golden, count):
    assert len(rows) == count
    cosine, difference = apus.agreement([row["embedding"] for row in rows], golden["embeddings"][:count])
    assert cosine >= 0.99999 and difference <= 1e-4


def one_line_texts(golden, count=None):
    """Indices of golden texts that fit on one line of a file."""
    return [i for i, text in enumerate(golden["texts"]) if text.strip() and len(text.splitlines()) == 1][:count]


def test_embed_arguments_print_json_lines(golden):
    check(lines_of(apus.run("embed", "--precision", "fp32", *golden["texts"][:4])), golden, 4)


def test_embed_file_prints_a_line_for_each_line(golden, tmp_path):
    chosen = one_line_texts(golden)
    file = tmp_path / "texts.txt"
    file.write_text("".join(golden["texts"][i] + "\n" for i in chosen), encoding="utf-8")
    rows = lines_of(apus.run("embed", "--precision", "fp32", "--file", file))
    cosine, difference = apus.agreement([row["embedding"] for row in rows], golden["embeddings"][chosen])
    assert cosine >= 0.99999 and difference <= 1e-4


@pytest.mark.parametrize("ending", ["\n", "", "\r\n"], ids=["LF", "no final LF", "CRLF"])
def test_embed_reads_standard_input(golden, ending):
    separator = ending or "\n"
    texts = separator.join(golden["texts"][:3]) + ending
    check(lines_of(apus.run("embed", "--precision", "fp32", stdin=texts)), golden, 3)


def test_embed_writes_npy(golden, tmp_path):
    chosen = one_line_texts(golden)
    file, output = tmp_path / "texts.txt", tmp_path / "vectors.npy"
    file.write_text("".join(golden["texts"][i] + "\n" for i in chosen), encoding="utf-8")
    result = apus.run("embed", "--precision", "fp32", "--file", file, "--output", output)
    assert result.returncode == DONE, result.stderr
    assert result.stdout == ""
    array = np.load(output, allow_pickle=False)
    assert array.dtype == np.dtype("<f4") and array.shape == (len(chosen), 384) and array.flags.c_contiguous
    cosine, difference = apus.agreement(array, golden["embeddings"][chosen])
    assert cosine >= 0.99999 and difference <= 1e-4
    assert sorted(os.listdir(tmp_path)) == ["texts.txt", "vectors.npy"], "nothing half-written is left beside the output"


def test_embed_keeps_standard_output_for_data(golden):
    result = apus.run("embed", golden["texts"][0])
    assert len(result.stdout.splitlines()) == 1


def test_embed_with_another_model_by_directory():
    golden = json.loads((apus.TINY / "mpnet-mean-max/golden.json").read_text(encoding="utf-8"))
    rows = lines_of(apus.run("embed", "--precision", "fp32", "--model", apus.TINY / "mpnet-mean-max", *golden["texts"][:5]))
    cosine, difference = apus.agreement([row["embedding"] for row in rows], golden["embeddings"][:5])
    assert cosine >= 0.99999 and difference <= 1e-4


def test_embed_precision_auto_is_the_default(golden):
    first = lines_of(apus.run("embed", "--precision", "auto", golden["texts"][0]))
    assert first == lines_of(apus.run("embed", golden["texts"][0]))


def test_models_json():
    result = apus.run("models", "--json")
    assert result.returncode == DONE, result.stderr
    document = json.loads(result.stdout)
    assert apus.DEFAULT_MODEL in [model["id"] for model in document["data"]]
    assert apus.DEFAULT_MODEL in apus.run("models").stdout


def test_doctor_json():
    result = apus.run("doctor", "--json")
    assert result.returncode == DONE, result.stdout + result.stderr
    document = json.loads(result.stdout)
    checks = {entry["name"]: entry for entry in document["checks"]}
    assert {"engine", "model", "port", "threads"} <= set(checks)
    assert all(entry["status"] in ("ok", "warning", "failed") for entry in checks.values())
    assert checks["engine"]["status"] == checks["model"]["status"] == "ok"
    assert apus.run("doctor").returncode == DONE


@pytest.fixture
def stranded(tmp_path):
    """The binary copied to where no engine and no model can be found, and an environment to match."""
    binary = tmp_path / "bin/apus"
    binary.parent.mkdir()
    shutil.copy2(apus.BINARY, binary)
    for bundle in apus.BINARY.resolve().parent.glob("*.resources"):
        shutil.copytree(bundle, binary.parent / bundle.name)
    return lambda *arguments, **env: apus.run(
        *arguments, binary=binary, cwd=tmp_path, HOME=str(tmp_path), XDG_DATA_HOME=str(tmp_path / "data"), **env)


def test_a_missing_engine_is_one_clear_line(stranded):
    result = stranded("embed", "text")
    assert result.returncode == FAILED
    message = result.stderr.strip()
    assert len(message.splitlines()) == 1, message
    assert re.search(r"scripts/setup|make setup", message), "the line must name the command that fixes it"


def test_doctor_says_what_to_do_without_an_engine(stranded):
    result = stranded("doctor", "--json")
    assert result.returncode == FAILED
    checks = {entry["name"]: entry for entry in json.loads(result.stdout)["checks"]}
    assert checks["engine"]["status"] == checks["model"]["status"] == "failed"
    assert re.search(r"scripts/setup|make setup", json.dumps(checks["engine"]))


def test_apus_home_is_looked_up(stranded):
    assert stranded("embed", "text", APUS_HOME=str(apus.ROOT / ".apus")).returncode == DONE


def test_xdg_data_folder_is_looked_up(stranded, tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data/apus").symlink_to(apus.ROOT / ".apus")
    assert stranded("embed", "text").returncode == DONE


def test_apus_beside_the_executables_real_path_is_looked_up(stranded, tmp_path):
    (tmp_path / ".apus").symlink_to(apus.ROOT / ".apus")
    assert stranded("embed", "text").returncode == DONE


@pytest.mark.parametrize("content", [b"", b"\x7fELF", b"not a library" * 100], ids=["empty", "cut", "text"])
def test_a_broken_engine_is_one_clear_line(stranded, tmp_path, content):
    library = next((apus.ROOT / ".apus/engine/lib").iterdir()).name
    (tmp_path / ".apus/engine/lib").mkdir(parents=True)
    (tmp_path / ".apus/engine/lib" / library).write_bytes(content)
    (tmp_path / ".apus/models").symlink_to(apus.ROOT / ".apus/models")
    result = stranded("embed", "text")
    assert result.returncode == FAILED
    assert len(result.stderr.strip().splitlines()) == 1, result.stderr


ENGINES = {
    "too old": ("""
        struct base { const void *(*api)(unsigned); const char *(*version)(void); };
        static const void *api(unsigned version) { return 0; }
        static const char *version(void) { return "1.20.0"; }
        static const struct base table = {api, version};
        const struct base *OrtGetApiBase(void) { return &table; }
     """, "1.20.0"),
    "no engine": ("int something_else;", "is not ONNX Runtime"),
}


@pytest.mark.parametrize("source,word", ENGINES.values(), ids=ENGINES.keys())
def test_a_library_that_is_no_usable_engine_is_one_clear_line(tmp_path, source, word):
    compiler = shutil.which("clang") or shutil.which("cc")
    assert compiler, "Swift's toolchain brings clang"
    (tmp_path / "engine.c").write_text(source, encoding="utf-8")
    subprocess.run([compiler, "-shared", "-fPIC", "-o", tmp_path / "engine.so", tmp_path / "engine.c"], check=True)
    result = apus.run("embed", "text", APUS_ENGINE=str(tmp_path / "engine.so"))
    assert result.returncode == FAILED and result.stdout == ""
    message = result.stderr.strip()
    assert len(message.splitlines()) == 1 and word in message and "make setup" in message, message


USAGE_ERRORS = {
    "unknown command": ["fly"],
    "unknown flag": ["embed", "--fast", "text"],
    "unknown precision": ["embed", "--precision", "fp12", "text"],
    "flag without its value": ["serve", "--port"],
    "port is no number": ["serve", "--port", "http"],
    "port out of range": ["serve", "--port", "70000"],
    "texts and a file": ["embed", "text", "--file", "texts.txt"],
}


@pytest.mark.parametrize("arguments", USAGE_ERRORS.values(), ids=USAGE_ERRORS.keys())
def test_usage_errors_end_with_2(arguments):
    result = apus.run(*arguments, timeout=30)
    assert result.returncode == USAGE, result.stderr
    assert result.stderr.strip()
    assert result.stdout == ""


FAILURES = {
    "unknown model": ["embed", "--model", "nothing-of-that-name", "text"],
    "model is no directory": ["embed", "--model", "/dev/null", "text"],
    "file is missing": ["embed", "--file", "missing.txt"],
    "file is a folder": ["embed", "--file", "/"],
    "output cannot be written": ["embed", "--output", "/nowhere/at/all.npy", "text"],
    "serve an unknown model": ["serve", "--port", "0", "--model", "nothing-of-that-name"],
    "address of another machine": ["serve", "--port", "0", "--host", "192.0.2.1"],
}


@pytest.mark.parametrize("arguments", FAILURES.values(), ids=FAILURES.keys())
def test_failures_end_with_1_and_one_line(arguments):
    result = apus.run(*arguments, timeout=60)
    assert result.returncode == FAILED, (result.returncode, result.stderr)
    assert result.stderr.strip()
    assert result.stdout == ""


def test_input_that_is_not_utf8_fails(tmp_path):
    file = tmp_path / "latin1.txt"
    file.write_bytes(b"caf\xe9\n")
    result = apus.run("embed", "--file", file)
    assert result.returncode == FAILED
    assert "latin1.txt" in result.stderr


def test_a_busy_port_is_one_line():
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        result = apus.run("serve", "--port", port, timeout=60)
    assert result.returncode == FAILED
    assert str(port) in result.stderr.strip().splitlines()[-1]


def test_a_closed_pipe_ends_quietly():
    command = f"yes 'a line of text' | head -n 20000 | '{apus.BINARY}' embed | head -n 1"
    result = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=120, env=apus.environment())
    assert json.loads(result.stdout)["embedding"]
    assert "Fatal" not in result.stderr


def test_help_and_version():
    for arguments in (["--help"], ["serve", "--help"], ["embed", "--help"], ["--version"]):
        result = apus.run(*arguments)
        assert result.returncode == DONE and result.stdout.strip()
    assert "--model" in apus.run("serve", "--help").stdout
