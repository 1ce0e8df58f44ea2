"""A precision is chosen by measurement, refused with the figure, and told everywhere."""
import json
import re

import numpy as np
import pytest

import apus

DONE, FAILED, USAGE, CONFIGURATION = 0, 1, 2, 78
# What each may lose of the reference fixture's vectors, lowest of all texts.
LOWEST = {"fp32": 0.99999, "bf16": 0.9997, "int8": 0.985, "int4": 0.9}
FLOORS = {"fp32": 0.9999, "bf16": 0.9999, "int8": 0.99, "int4": 0.95}


def explain(*arguments):
    result = apus.run("gpu", "explain", "--json", *arguments)
    assert result.returncode == DONE, result.stderr
    return json.loads(result.stdout)["precisions"]


@pytest.fixture(scope="module")
def has_bf16():
    forms = [candidate["form"] for candidate in explain()[0]["candidates"]]
    return "kernels-bf16" in forms


@pytest.fixture(scope="module", params=["fp32", "bf16", "int8", "int4"])
def served(request, has_bf16):
    if request.param == "bf16" and not has_bf16:
        pytest.skip("this CPU has no bf16 products")
    with apus.Server("--precision", request.param) as running:
        running.precision = request.param
        yield running


def test_a_named_precision_is_served_and_told(served, golden):
    name = served.precision
    reply = served.embed(golden["texts"], provenance=True)
    assert reply.headers["x-apus-precision"] == name
    assert {entry["precision"] for entry in reply.json["provenance"]} == {name}
    cosine, _ = apus.agreement(apus.vectors(reply), golden["embeddings"])
    assert cosine >= LOWEST[name]
    (model,) = served.get("/v1/models").json["data"]
    assert model["precision"] == name and FLOORS[name] <= model["cosine_to_fp32"] <= 1.000001
    log = served.output()
    assert re.search(rf"is ready on cpu:0 in {name} \(cosine to fp32 [01]\.\d{{5}}, (kernels|fused)", log), log


def test_a_named_precision_answers_alike_whatever_the_batch(served, golden):
    together = apus.vectors(served.embed(golden["texts"][:8]))
    alone = np.concatenate([apus.vectors(served.embed(text)) for text in golden["texts"][:8]])
    assert np.abs(together - alone).max() <= 1e-5
    again = apus.vectors(served.embed(golden["texts"][:8]))
    if re.search(r"is ready on .*, kernels", served.output()):
        assert np.array_equal(together, again) and np.array_equal(together, alone)
    else:
        # Two lanes may have shared the texts out otherwise, and the engine's products depend on the rows beside a row.
        assert np.abs(together - again).max() <= 1e-5


def test_auto_takes_the_fastest_that_is_as_good_as_fp32():
    (entry,) = explain()
    assert entry["cosine_floor"] == 0.9999 and entry["reason"]
    measured = {row["form"]: row for row in entry["candidates"] if "failure" not in row}
    assert {"fused-fp32", "kernels-fp32"} <= set(measured) and "kernels-int8" not in measured
    speed = {form: (row["short_tokens_per_second"] * row["long_tokens_per_second"]) ** 0.5
             for form, row in measured.items() if row["cosine"] >= 0.9999}
    assert speed[entry["form"]] * 1.05 >= max(speed.values())


def test_a_lower_floor_lets_auto_weigh_more(tmp_path):
    file = tmp_path / "apus.yaml"
    file.write_text("precision_floor: 0.99\n")
    (entry,) = explain("--config", file)
    forms = [row["form"] for row in entry["candidates"]]
    assert "fused-int4" in forms and len(forms) > len(explain()[0]["candidates"])
    with apus.Server("--config", file) as server:
        (model,) = server.get("/v1/models").json["data"]
        assert model["precision"] == entry["precision"] and model["cosine_to_fp32"] >= 0.99


def test_what_was_measured_is_remembered():
    explain()
    with apus.Server() as server:
        assert server.until_ready < 2


@pytest.mark.parametrize("precision, floor", [("int8", 0.99999), ("int4", 0.99)])
def test_a_load_below_the_floor_is_refused_with_the_figure(precision, floor):
    result = apus.run("embed", "--precision", precision, "--precision-floor", floor, "text")
    assert result.returncode == FAILED and len(result.stderr.splitlines()) == 1
    figure = re.search(r"kernels-int8 has (0\.\d+)|fused-int4 has (0\.\d+)", result.stderr)
    assert figure and float(figure[1] or figure[2]) < floor and str(floor) in result.stderr


def test_a_precision_that_cpus_lack_is_refused_in_one_line():
    for command in (["embed", "text"], ["serve", "--port", "0"]):
        result = apus.run(command[0], "--precision", "fp16", *command[1:])
        assert result.returncode == FAILED
        assert "fp16 is not available on cpu:0" in result.stderr and "Available are fp32" in result.stderr


@pytest.mark.parametrize("floor", ["-0.1", "1.5", "nan", "much"])
def test_floors_that_are_no_cosine_are_refused(floor):
    assert apus.run("embed", f"--precision-floor={floor}", "text").returncode == USAGE


def test_models_of_one_server_have_their_own_precisions(tmp_path, golden):
    file = tmp_path / "apus.yaml"
    file.write_text(f"""
precision: int8
models:
  - {{name: {apus.DEFAULT_MODEL}, id: usual}}
  - {{name: {apus.DEFAULT_MODEL}, id: exact, precision: fp32}}
  - {{name: {apus.DEFAULT_MODEL}, id: small, precision: int4, precision_floor: 0.9}}
""")
    with apus.Server("--config", file) as server:
        models = {model["id"]: model["precision"] for model in server.get("/v1/models").json["data"]}
        assert models == {"usual": "int8", "exact": "fp32", "small": "int4"}
        for name, precision in models.items():
            assert server.embed("a", model=name).headers["x-apus-precision"] == precision
        cosine, _ = apus.agreement(apus.vectors(server.embed(golden["texts"], model="exact")), golden["embeddings"])
        assert cosine >= LOWEST["fp32"]
    with apus.Server("--config", file, "--precision", "fp32") as server:
        assert {model["precision"] for model in server.get("/v1/models").json["data"]} == {"fp32"}, "a flag goes before files"


def test_simulated_accelerators_take_the_accelerators_precision(tmp_path):
    file = tmp_path / "apus.yaml"
    file.write_text("gpu: {optimization: {precision: int8}}\nprecision: fp32\n")
    with apus.Server("--config", file, "--devices", "sim:1") as server:
        assert server.embed("a").headers["x-apus-precision"] == "int8"
        assert "gpu.optimization.precision" not in server.output()
    with apus.Server("--config", file) as server:
        assert server.embed("a").headers["x-apus-precision"] == "fp32"
        assert "gpu.optimization.precision: no accelerator is used: has no effect, CPUs take precision, which is fp32" in server.output()


@pytest.fixture(scope="module", params=["int8", "int4"])
def quantized(request, tmp_path_factory):
    target = tmp_path_factory.mktemp("quantized") / request.param
    result = apus.run("quantize", apus.DEFAULT_MODEL, "--precision", request.param, "--into", target, "--json")
    assert result.returncode == DONE, result.stderr
    return request.param, target, json.loads(result.stdout)


def test_a_quantised_copy_serves_as_the_model_does_quantised_at_load(quantized, golden):
    precision, target, report = quantized
    assert report["precision"] == precision and report["cosine_to_fp32"] >= FLOORS[precision]
    assert report["bytes_after"] < 0.3 * report["bytes_before"]
    assert report["bytes_after"] == sum(file.stat().st_size for file in target.glob("*.safetensors"))
    with apus.Server("--model", target) as copy, apus.Server("--precision", precision) as original:
        (model,) = copy.get("/v1/models").json["data"]
        assert model["precision"] == precision
        # Kernels mix the channels of int8 weights and round them once more.
        assert report["cosine_to_fp32"] - (1e-3 if precision == "int8" else 1e-6) <= model["cosine_to_fp32"] <= report["cosine_to_fp32"] + 1e-6
        reply = copy.embed(golden["texts"], model=precision)
        assert reply.headers["x-apus-precision"] == precision
        ours, theirs = apus.vectors(reply), apus.vectors(original.embed(golden["texts"]))
        assert (ours * theirs).sum(axis=1).min() >= 0.99 if precision == "int8" else np.array_equal(ours, theirs)


def test_a_quantised_copy_has_no_other_precision(quantized):
    precision, target, _ = quantized
    result = apus.run("embed", "--model", target, "--precision", "fp32", "text")
    assert result.returncode == FAILED and f"quantized to {precision}".replace("quantized", "quantised") in result.stderr
    again = apus.run("quantize", target, "--precision", "int8", "--into", target.parent / "again")
    assert again.returncode == FAILED and not (target.parent / "again").exists()


def test_nothing_is_written_below_the_floor(tmp_path):
    result = apus.run("quantize", apus.DEFAULT_MODEL, "--precision", "int4", "--precision-floor", "0.99", "--into", tmp_path / "copy")
    assert result.returncode == FAILED and "0.96" in result.stderr and not (tmp_path / "copy").exists()
    full = tmp_path / "full"
    full.mkdir()
    (full / "file").write_text("mine")
    assert apus.run("quantize", apus.DEFAULT_MODEL, "--precision", "int8", "--into", full).returncode == FAILED
    assert [file.name for file in full.iterdir()] == ["file"]
    for precision in ("fp32", "auto", "int5"):
        assert apus.run("quantize", apus.DEFAULT_MODEL, "--precision", precision, "--into", tmp_path / "x").returncode == USAGE


def test_benchmark_and_doctor_tell_the_precision():
    result = apus.run("gpu", "benchmark", "--precision", "int8", "--batches", "1", "--seconds", "0.1", "--json")
    assert {row["precision"] for row in json.loads(result.stdout)["results"]} == {"int8"}
    checks = {check["name"]: check for check in json.loads(apus.run("doctor", "--json").stdout)["checks"]}
    assert checks["cpu features"]["status"] == "ok" and "products of bf16" in checks["cpu features"]["detail"]
    assert "cosine to fp32" in checks["model"]["detail"]
