"""The OpenAPI document against the server that serves it: its examples are taken, and schemathesis finds no answer that it does not describe."""
import json
import pathlib
import subprocess
import sys

import pytest

import apus

CLASSIFIERS = apus.ROOT / "Tests/Fixtures/classifiers"
# The models of the document's examples.
MODELS = [apus.DEFAULT_MODEL, {"path": str(CLASSIFIERS / "bert-rerank"), "id": "ms-marco-MiniLM-L6-v2"}, {"path": str(CLASSIFIERS / "bert-pairs"), "id": "sentiment"}]
CHECKS = ["not_a_server_error", "status_code_conformance", "content_type_conformance", "response_headers_conformance", "response_schema_conformance",
          "unsupported_method", "allow_header_conformance", "negative_data_rejection"]
# What it may answer when something is away for a while; everything else above 499 is a fault.
CONFIGURATION = '[checks.not_a_server_error]\nexpected-statuses = ["2xx", "4xx", 503, 504]\n'


@pytest.fixture(scope="module")
def described(tmp_path_factory):
    folder = tmp_path_factory.mktemp("openapi")
    config = folder / "apus.yaml"
    config.write_text(json.dumps({"models": MODELS}))
    with apus.Server("--config", config, "--precision", "fp32", "--data", folder / "data") as running:
        yield running
        assert running.process.poll() is None, running.output()


def operations(document):
    for path, item in document["paths"].items():
        for method, operation in item.items():
            yield path, method, operation


def test_every_example_is_a_request_that_is_answered(described):
    reply = described.get("/openapi.json")
    assert reply.status == 200 and reply.headers["content-type"] == "application/json"
    document = reply.json
    assert document["openapi"].startswith("3.1.")
    assert described.post("/v1/collections", {"name": "examples"}).status == 201
    answered = 0
    for path, method, operation in operations(document):
        for name, example in operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("examples", {}).items():
            target = path.replace("{name}", "examples").replace("{id}", "cpu:0")
            reply = described.request(method.upper(), target, json.dumps(example["value"]), apus.JSON_HEADERS)
            assert reply.status < 300, (path, name, reply)
            assert str(reply.status) in operation["responses"]
            answered += 1
    assert answered >= 20


def schemathesis(server, folder, *arguments):
    (folder / "schemathesis.toml").write_text(CONFIGURATION)
    program = pathlib.Path(sys.executable).parent / "schemathesis"
    return subprocess.run(
        [program, "run", f"{server.base}/openapi.json", "--checks", ",".join(CHECKS), "--generation-deterministic", "--continue-on-failure", "--no-color", *arguments],
        cwd=folder, capture_output=True, text=True, encoding="utf-8", timeout=240)


def test_schemathesis_finds_nothing_that_is_not_described(described, tmp_path):
    run = schemathesis(described, tmp_path, "--phases", "examples,coverage,fuzzing", "--max-time", "30",
                       "--exclude-operation-id", "loadModel", "--exclude-operation-id", "unloadModel")
    assert run.returncode == 0, run.stdout + run.stderr
    cases = int(run.stdout.partition("Test cases:")[2].split()[0])
    assert cases > 300, run.stdout
    for code in ("internal_error", "engine_failure", "wrong_answer", "store_corrupt", "store_unavailable"):
        assert described.metric("apus_requests_total", code=code) == 0, described.output()
    assert described.embed("x").status == 200 and described.get("/health/ready").status == 200


def test_schemathesis_on_models_that_come_and_go(described, tmp_path):
    run = schemathesis(described, tmp_path, "--phases", "examples,coverage", "--include-operation-id", "loadModel", "--include-operation-id", "unloadModel")
    assert run.returncode == 0, run.stdout + run.stderr
    for model in described.get("/v1/models").json["data"]:
        assert model["id"] in (apus.DEFAULT_MODEL, "ms-marco-MiniLM-L6-v2", "sentiment")
    assert described.post(f"/v1/models/{apus.DEFAULT_MODEL}/load", b"").status in (200, 202)
    apus.eventually(lambda: described.embed("x").status == 200, server=described)


def test_a_document_that_lies_is_found_out(described, tmp_path):
    document = described.get("/openapi.json").json
    del document["paths"]["/v1/models/{id}"]["get"]["responses"]["404"]
    document["components"]["schemas"]["Model"]["properties"]["task"] = {"type": "integer"}
    wrong = tmp_path / "wrong.json"
    wrong.write_text(json.dumps(document))
    run = subprocess.run(
        [pathlib.Path(sys.executable).parent / "schemathesis", "run", wrong, "--url", described.base, "--phases", "examples,coverage", "--checks", ",".join(CHECKS),
         "--include-operation-id", "listModels", "--include-operation-id", "getModel", "--generation-deterministic", "--continue-on-failure", "--no-color"],
        cwd=tmp_path, capture_output=True, text=True, encoding="utf-8", timeout=240)
    assert run.returncode == 1 and "Undocumented status code" in run.stdout and "violates schema" in run.stdout, run.stdout + run.stderr
