"""Rerank, classify and similarity over HTTP and on the command line, against CrossEncoder and transformers' pipeline (golden.json)."""
import json
import shutil

import numpy as np
import pytest

import apus

FOLDER = apus.ROOT / "Tests/Fixtures/classifiers"
RERANKERS = sorted(path.name for path in FOLDER.iterdir() if "rerank" in path.name)
CLASSIFIERS = sorted(path.name for path in FOLDER.iterdir() if "rerank" not in path.name)


def read(name):
    return json.loads((FOLDER / name / "golden.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def scorers():
    """One server with all of them and the default model, in fp32."""
    models = [argument for name in [*RERANKERS, *CLASSIFIERS] for argument in ("--model", FOLDER / name)]
    with apus.Server(*models, "--model", apus.DEFAULT_MODEL, "--precision", "fp32") as running:
        yield running
        assert running.process.poll() is None, running.output()


@pytest.mark.parametrize("name", RERANKERS)
def test_rerankers_score_as_cross_encoder(scorers, name):
    golden = read(name)
    by_query = {}
    for index, (query, document) in enumerate(golden["pairs"]):
        by_query.setdefault(query, []).append((document, index))
    for query, entries in by_query.items():
        for field, wanted in (({}, "pair_scores"), ({"raw_scores": True}, "pair_logits")):
            reply = scorers.post("/v1/rerank", {"model": name, "query": query, "documents": [text for text, _ in entries], **field})
            assert reply.status == 200, reply
            results = reply.json["results"]
            assert sorted(result["index"] for result in results) == list(range(len(entries)))
            scores = [result["relevance_score"] for result in results]
            assert scores == sorted(scores, reverse=True)
            for result in results:
                assert abs(result["relevance_score"] - golden[wanted][entries[result["index"]][1]][0]) <= 1e-5
    assert reply.headers["x-apus-precision"] == "fp32" and reply.headers["x-apus-device"].startswith("cpu:")


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_classifiers_score_as_the_pipeline(scorers, name):
    golden = read(name)
    inputs = [*golden["texts"], *golden["pairs"]]
    truncated = set()
    for field, kind in (({}, "scores"), ({"raw_scores": True}, "logits")):
        reply = scorers.post("/v1/classify", {"model": name, "input": inputs, **field})
        assert reply.status == 200, reply
        rows = []
        for index, entry in enumerate(reply.json["data"]):
            assert entry["index"] == index and entry["prediction"] == entry["predictions"][0]["label"]
            assert entry["score"] == entry["predictions"][0]["score"] == max(p["score"] for p in entry["predictions"])
            by_label = {p["label"]: p["score"] for p in entry["predictions"]}
            rows.append([by_label[label] for label in golden["labels"]])
        expected = np.array([*golden[f"text_{kind}"], *golden[f"pair_{kind}"]])
        assert np.abs(np.array(rows) - expected).max() <= 1e-5
        truncated.add(int(reply.headers["x-apus-truncated"]))
        tokens = sum(len(ids) for ids in [*golden["text_ids"], *golden["pair_ids"]])
        assert reply.json["usage"] == {"prompt_tokens": tokens, "total_tokens": tokens}
    assert truncated.pop() >= 4 and not truncated


def test_models_tell_their_task(scorers):
    models = {model["id"]: model for model in scorers.get("/v1/models").json["data"]}
    assert models[apus.DEFAULT_MODEL]["task"] == "embedding" and "labels" not in models[apus.DEFAULT_MODEL]
    for name in RERANKERS:
        assert models[name]["task"] == "rerank" and models[name]["dimensions"] is None
    for name in CLASSIFIERS:
        assert models[name]["task"] == "classify" and models[name]["labels"] == read(name)["labels"]
    assert all(models[name]["cosine_to_fp32"] >= 0.9999 for name in [*RERANKERS, *CLASSIFIERS])


def test_the_wrong_task_is_refused(scorers):
    rerank, classify = RERANKERS[0], CLASSIFIERS[0]
    bodies = {"/v1/embeddings": {"input": "x"}, "/v1/rerank": {"query": "q", "documents": ["d"]}, "/v1/classify": {"input": "x"},
              "/v1/similarity": {"source_sentence": "x", "sentences": ["y"]}}
    right = {"/v1/embeddings": apus.DEFAULT_MODEL, "/v1/rerank": rerank, "/v1/classify": classify, "/v1/similarity": apus.DEFAULT_MODEL}
    for path, body in bodies.items():
        for model in (apus.DEFAULT_MODEL, rerank, classify):
            reply = scorers.post(path, {"model": model, **body})
            if model == right[path]:
                assert reply.status == 200, reply
            else:
                assert (reply.status, reply.error["code"], reply.error["param"]) == (400, "unsupported_task", "model"), (path, model, reply)


def test_similarity_is_the_cosine_of_embeddings(scorers):
    texts = ["A bird sleeps while it flies.", "Swifts doze on the wing.", "The invoice is due on Friday."]
    vectors = apus.vectors(scorers.embed(texts))
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    one = scorers.post("/v1/similarity", {"model": apus.DEFAULT_MODEL, "source_sentence": texts[0], "sentences": texts[1:]}).json["scores"]
    assert np.abs(np.array(one) - unit[1:] @ unit[0]).max() < 1e-5
    matrix = scorers.post("/v1/similarity", {
        "model": apus.DEFAULT_MODEL, "inputs": {"source_sentence": texts, "sentences": texts}}).json["scores"]
    assert np.abs(np.array(matrix) - unit @ unit.T).max() < 1e-5


def test_what_fails_alone(scorers):
    model = RERANKERS[0]
    reply = scorers.post("/v1/rerank", {
        "model": model, "query": "swifts", "documents": ["a", "", "b " * 1000, "c"], "truncate": False, "partial": True, "provenance": True})
    assert reply.status == 200 and reply.headers["x-apus-errors"] == "2", reply
    failed = {result["index"]: result["error"] for result in reply.json["results"] if "error" in result}
    assert {index: (error["code"], error["param"]) for index, error in failed.items()} == {
        1: ("empty_input", "documents[1]"), 2: ("context_length_exceeded", "documents[2]")}
    assert [entry is None for entry in reply.json["provenance"]] == [False, True, True, False]
    whole = scorers.post("/v1/rerank", {"model": model, "query": "swifts", "documents": ["a", "b " * 1000], "truncate": False})
    assert (whole.status, whole.error["code"], whole.error["param"]) == (400, "context_length_exceeded", "documents[1]")
    late = scorers.post("/v1/rerank", {"model": model, "query": "q", "documents": ["d"]}, {"x-apus-timeout-ms": "0"})
    assert (late.status, late.error["code"]) == (504, "deadline_exceeded")
    many = scorers.post("/v1/rerank", {"model": model, "query": "q", "documents": ["d"] * 100_000})
    assert (many.status, many.error["code"]) == (400, "array_above_max_length")
    assert scorers.metric("apus_requests_total", route="/v1/rerank", code="context_length_exceeded") >= 1


def test_the_command_line_ranks(tmp_path):
    golden = read("bert-rerank")
    query, document = golden["pairs"][0]
    other = golden["pairs"][1][1]
    file = tmp_path / "documents.txt"
    file.write_text(f"{other}\n{document}\n", encoding="utf-8")
    expected = sorted(((golden["pair_scores"][1][0], 0), (golden["pair_scores"][0][0], 1)), reverse=True)
    for source in (["--file", file], [other, document]):
        run = apus.run("rerank", "--model", FOLDER / "bert-rerank", "--precision", "fp32", "--json", query, *source)
        assert run.returncode == 0, run.stderr
        results = json.loads(run.stdout)["results"]
        assert [result["index"] for result in results] == [index for _, index in expected]
        assert all(abs(result["relevance_score"] - score) <= 1e-5 for result, (score, _) in zip(results, expected))
    table = apus.run("rerank", "--model", FOLDER / "bert-rerank", query, "--top-n", "1", stdin=f"{other}\n{document}\n")
    assert table.returncode == 0 and table.stdout.splitlines()[0].split() == ["SCORE", "INDEX", "DOCUMENT"]
    assert len(table.stdout.splitlines()) == 2
    assert apus.run("rerank", query, document).returncode == 2
    refused = apus.run("rerank", "--model", FOLDER / "bert-pairs", query, document)
    assert refused.returncode == 1 and "made for the task classify" in refused.stderr


def test_the_command_line_classifies(tmp_path):
    golden = read("bert-pairs")
    pairs = [pair for pair in golden["pairs"][:4]]
    run = apus.run("classify", "--model", FOLDER / "bert-pairs", "--precision", "fp32", "--json", "--pairs",
                   stdin="".join(f"{a}\t{b}\n" for a, b in pairs))
    assert run.returncode == 0, run.stderr
    for line, scores in zip(map(json.loads, run.stdout.splitlines()), golden["pair_scores"], strict=False):
        assert [entry["label"] for entry in line["scores"]] == golden["labels"]
        assert np.abs(np.array([entry["score"] for entry in line["scores"]]) - scores).max() <= 1e-5
        assert line["label"] == golden["labels"][int(np.argmax(scores))]
    assert len(run.stdout.splitlines()) == 4
    table = apus.run("classify", "--model", FOLDER / "distilbert-classify", "one", "two")
    assert table.returncode == 0 and len(table.stdout.splitlines()) == 3
    bad = apus.run("classify", "--model", FOLDER / "bert-pairs", "--pairs", "no tab")
    assert bad.returncode == 1 and "parted by tabs" in bad.stderr
    embed = apus.run("embed", "--model", FOLDER / "bert-pairs", "x")
    assert embed.returncode == 1 and "made for the task classify" in embed.stderr


def test_every_precision_and_a_quantised_copy(tmp_path):
    golden = read("bert-rerank")
    query, document = golden["pairs"][0]
    copy = tmp_path / "int8"
    made = apus.run("quantize", FOLDER / "bert-rerank", "--precision", "int8", "--into", copy, "--precision-floor", "0.5")
    assert made.returncode == 0, made.stderr
    for model, precision in ((FOLDER / "bert-rerank", "auto"), (FOLDER / "bert-rerank", "int8"), (copy, "auto")):
        run = apus.run("rerank", "--model", model, "--precision", precision, "--precision-floor", "0.5", "--json", query, document)
        assert run.returncode == 0, run.stderr
        (result,) = json.loads(run.stdout)["results"]
        assert abs(result["relevance_score"] - golden["pair_scores"][0][0]) < 0.05


@pytest.mark.parametrize("change, message", [
    ({"id2label": {}}, "0 labels"), ({"id2label": {"0": "a", "1": "b"}}, "asks for shape [2, 32]"),
    ({"problem_type": "guess"}, "no problem type"), ({"id2label": {"0": 7}}, "id2label"),
])
def test_heads_that_contradict_config_are_refused(tmp_path, change, message):
    copy = tmp_path / "model"
    shutil.copytree(FOLDER / "bert-rerank", copy)
    config = json.loads((copy / "config.json").read_text(encoding="utf-8"))
    (copy / "config.json").write_text(json.dumps(config | change), encoding="utf-8")
    run = apus.run("rerank", "--model", copy, "q", "d")
    assert run.returncode == 1 and message in run.stderr, run.stderr
