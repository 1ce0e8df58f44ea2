"""Collections over HTTP against the real store: what is found is what NumPy finds, what was acknowledged stays, and what is broken stays alone."""
import concurrent.futures
import contextlib
import hashlib
import json
import resource
import shutil
import signal
import sqlite3
import threading
import urllib.parse

import numpy as np
import pytest

import apus

WORDS = "swift heron kettle river invoice theorem lantern violin harbour bread engine glacier ledger orchard satellite".split()


def texts(count):
    """Texts that are all different."""
    return [f"The {WORDS[i % 15]} and the {WORDS[i // 15 % 15]} number {i} met near the {WORDS[i * 7 % 15]}." for i in range(count)]


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """One server in fp32 with a data folder of its own."""
    with apus.Server("--precision", "fp32", "--data", tmp_path_factory.mktemp("data")) as running:
        yield running
        assert running.process.poll() is None, running.output()


def made(server, name, **settings):
    reply = server.post("/v1/collections", {"name": name, **settings})
    assert reply.status == 201, reply
    return reply.json


def write(server, name, documents, **fields):
    reply = server.post(f"/v1/collections/{name}/documents", {"documents": documents, **fields})
    assert reply.status == 200, reply
    return reply


def search(server, name, **fields):
    reply = server.post(f"/v1/collections/{name}/search", fields)
    assert reply.status == 200, reply
    return [row["hits"] for row in reply.json["data"]]


def described(server, name):
    reply = server.get(f"/v1/collections/{name}")
    assert reply.status == 200, reply
    return reply.json


def refused(reply, status, code, param=None):
    assert (reply.status, reply.error["code"]) == (status, code), reply
    assert param is None or reply.error["param"] == param, reply
    assert reply.error["type"] == ("invalid_request_error" if status < 500 else "server_error")


def test_hits_are_numpys(served):
    corpus, queries = texts(300), [f"Where is the {word}?" for word in WORDS]
    vectors = apus.vectors(served.embed(corpus)).astype(np.float64)
    asked = apus.vectors(served.embed(queries)).astype(np.float64)
    years = [1990 + i % 40 for i in range(300)]
    for metric, storage in (("cosine", "fp32"), ("dot", "fp16"), ("l2", "fp32"), ("cosine", "int8")):
        name = f"numpy-{metric}-{storage}"
        assert made(served, name, metric=metric, storage=storage)["dimensions"] == 384
        reply = write(served, name, [{"id": f"{i:03}", "text": text, "metadata": {"year": years[i]}} for i, text in enumerate(corpus)])
        assert (reply.json["added"], reply.json["replaced"], reply.json["model"]) == (300, 0, apus.DEFAULT_MODEL)
        assert reply.json["usage"]["total_tokens"] > 300 * 5 and reply.headers["x-apus-precision"] == "fp32"
        for rows, condition in ((range(300), None), ([i for i in range(300) if years[i] < 2000], {"year": {"$lt": 2000}})):
            rows = list(rows)
            scores = asked @ vectors[rows].T
            if metric == "l2":
                scores = -((asked[:, None] - vectors[rows][None]) ** 2).sum(-1)
            for hits, expected in zip(search(served, name, query=queries, k=10, **({"filter": condition} if condition else {})), scores):
                assert len(hits) == 10 and [hit["score"] for hit in hits] == sorted((hit["score"] for hit in hits), reverse=True)
                for hit in hits:
                    index = int(hit["id"])
                    assert abs(hit["score"] - expected[rows.index(index)]) < 1e-5
                    assert hit["text"] == corpus[index] and hit["metadata"] == {"year": years[index]}
                # All of the ten best but those that differ from the tenth by rounding.
                best = {rows[i] for i in np.flatnonzero(expected > np.sort(expected)[-10] + 1e-5)}
                assert best <= {int(hit["id"]) for hit in hits}
        by_vector = search(served, name, vector=asked.astype(float).tolist(), k=10, include=[])
        assert [[hit["id"] for hit in hits] for hits in by_vector] == [[hit["id"] for hit in hits] for hits in search(served, name, query=queries, k=10)]
        assert set(by_vector[0][0]) == {"object", "id", "score"}
        assert apus.vectors(served.embed(corpus[7:8]))[0].tolist() == pytest.approx(
            served.get(f"/v1/collections/{name}/documents/007?include=vector").json["vector"], abs=1e-6)


def test_documents_come_go_and_are_listed(served):
    made(served, "life", model=None, dimensions=2)
    ids = ["a", "A", "b/c", "ä", "a\u0308", "日本", "with space", "100%", "?&=#", "é" * 256, "..", "."]
    write(served, "life", [{"id": id, "vector": [1, n], "metadata": {"n": n, "tags": ["even" if n % 2 == 0 else "odd"]}} for n, id in enumerate(ids)])
    for n, id in enumerate(ids):
        if id not in ("..", "."):  # clients resolve these before they send them
            reply = served.get(f"/v1/collections/life/documents/{urllib.parse.quote(id, safe='')}")
            assert reply.status == 200 and reply.json["id"] == id and reply.json["metadata"]["n"] == n, reply
    seen, after = [], None
    while True:
        page = served.get("/v1/collections/life/documents?" + urllib.parse.urlencode({"limit": 5, **({"after": after} if after else {})})).json
        seen += [document["id"] for document in page["data"]]
        after = page["next"]
        if after is None:
            break
    assert seen == sorted(ids, key=str.encode)
    odd = served.get("/v1/collections/life/documents?" + urllib.parse.urlencode({"filter": json.dumps({"tags": {"$contains": "odd"}})})).json
    assert {document["id"] for document in odd["data"]} == set(ids[1::2])
    refused(served.post("/v1/collections/life/documents", {"documents": [{"id": "new", "vector": [1, 1]}, {"id": "a", "vector": [1, 1]}], "mode": "add"}), 409, "document_exists")
    refused(served.get("/v1/collections/life/documents/new"), 404, "document_not_found")
    assert write(served, "life", [{"id": "a", "vector": [0, 5]}]).json["replaced"] == 1
    assert served.get("/v1/collections/life/documents/a?include=vector,metadata").json == {"object": "document", "id": "a", "metadata": {}, "vector": [0, 5]}
    assert served.request("DELETE", "/v1/collections/life/documents/b%2Fc").json["deleted"] == 1
    assert served.post("/v1/collections/life/delete", {"ids": ["日本", "absent", "日本"]}).json["deleted"] == 1
    assert served.post("/v1/collections/life/delete", {"filter": {"n": {"$gte": 6}}}).json["deleted"] == 6
    assert (described(served, "life")["documents"], described(served, "life")["deleted"]) == (4, 9)
    report = served.post("/v1/collections/life/compact", b"")
    assert report.status == 200 and report.json["removed"] == 9 and described(served, "life")["deleted"] == 0
    assert {hit["id"] for hit in search(served, "life", vector=[1, 0], k=99)[0]} == {"a", "A", "ä", "a\u0308"}
    first = write(served, "life", [{"vector": [3, 4], "text": "kept"}]).json
    again = write(served, "life", [{"vector": [3, 4], "text": "kept"}]).json
    assert (first["added"], again["added"], again["replaced"]) == (1, 0, 1) and first["ids"] == again["ids"]
    assert served.request("DELETE", "/v1/collections/life").json == {"object": "collection", "name": "life", "deleted": True}
    refused(served.get("/v1/collections/life"), 404, "collection_not_found", "collection")
    assert "life" not in [collection["name"] for collection in served.get("/v1/collections").json["data"]]


def test_hostile_searches_and_writes(served):
    """Row 99 of the catalogue of hostile inputs, and what goes with it."""
    made(served, "hostile", model=None, dimensions=3)
    write(served, "hostile", [{"id": "a", "vector": [1, 2, 3]}])
    bodies = [
        ({"vector": [1, 2]}, "invalid_value", "vector"), ({"vector": [[1, 2, 3], [1]]}, "invalid_value", "vector[1]"), ({"vector": [1, 2, 3], "k": -1}, "invalid_value", "k"),
        ({"vector": [1, 2, 3], "k": 0}, "invalid_value", "k"), ({"vector": [1, 2, 3], "k": 10**9}, "invalid_value", "k"), ({"vector": [1, 2, 3], "k": 10**30}, "invalid_value", "k"),
        ({"vector": [1e39, 2, 3]}, "invalid_value", "vector[0]"), ({"vector": [1, 2, 3], "filter": {"a": "x" * (1 << 20)}}, "invalid_filter", "filter"),
        ({"vector": [1, 2, 3], "filter": {"$or": [{"a": 1}] * 300}}, "invalid_filter", None), ({"vector": [1, 2, 3], "filter": {"$where": "1"}}, "invalid_filter", "filter.$where"),
        ({"query": "x"}, "invalid_value", "query"), ({"vector": [[1, 2, 3]] * 257}, "array_above_max_length", "vector"), ({"vector": [0] * 65537}, "invalid_value", "vector"),
    ]
    for body, code, param in bodies:
        refused(served.post("/v1/collections/hostile/search", body), 400, code, param)
    for body in (b'{"vector":[NaN,2,3]}', b'{"vector":[Infinity,2,3]}', b'{"vector":[1e999,2,3]}', b'{"vector":[1,2,3],"vector":[1,2,3]}', b'\xef\xbb\xbf{}', b'{"query":"\xff"}'):
        refused(served.post("/v1/collections/hostile/search", body), 400, "invalid_json")
    assert len(search(served, "hostile", vector=[1, 2, 3], k=1000)[0]) == 1
    deep = {}
    for _ in range(9):
        deep = {"a": deep}
    for documents, code, param in [
        ([{"id": "b", "vector": [1, 2]}], "invalid_value", "documents[0].vector"), ([{"id": "b", "vector": [1, 2, 1e39]}], "invalid_value", "documents[0].vector[2]"),
        ([{"id": "b", "vector": [1, 2, 3]}, {"id": "b", "vector": [1, 2, 3]}], "invalid_value", "documents[1].id"), ([{"id": "", "vector": [1, 2, 3]}], "invalid_value", "documents[0].id"),
        ([{"id": "x" * 513, "vector": [1, 2, 3]}], "invalid_value", "documents[0].id"), ([{"id": "b", "vector": [1, 2, 3], "metadata": {"a": "x" * 70_000}}], "string_above_max_length", "documents[0].metadata"),
        ([{"id": "b", "vector": [1, 2, 3], "metadata": deep}], "invalid_value", None), ([{"id": "b", "vector": [1, 2, 3], "text": "x" * ((1 << 20) + 1)}], "string_above_max_length", "documents[0].text"),
        ([{"id": "b", "text": "no model"}], "invalid_value", "documents[0].vector"), ([{"id": "b", "vector": [1, 2, 3]}] * 2049, "array_above_max_length", "documents"),
    ]:
        refused(served.post("/v1/collections/hostile/documents", {"documents": documents}), 400, code, param)
    assert described(served, "hostile")["documents"] == 1
    for name in ("..", "%2e%2e%2fetc", ".hidden", "a%00b", "ä", "x" * 65, "a%20b"):
        reply = served.get(f"/v1/collections/{urllib.parse.quote(name, safe='%')}")
        assert reply.status in (400, 404) and reply.error["code"] in ("invalid_value", "invalid_request", "not_found"), reply
    refused(served.post("/v1/collections", {"name": "../outside"}), 400, "invalid_value", "name")
    refused(served.post("/v1/collections", {"name": "x", "model": None, "dimensions": 65537}), 400, "invalid_value", "dimensions")
    refused(served.post("/v1/collections/hostile/documents", b"[" * (33 << 20)), 413, "body_too_large")
    refused(served.post("/v1/collections/hostile/search", {"vector": [1, 2, 3]}, {"x-apus-timeout-ms": "0"}), 504, "deadline_exceeded")
    assert served.metric("apus_collections_errors_total", operation="search", code="deadline_exceeded") >= 1


def test_what_was_acknowledged_survives_kill_and_restart(tmp_path):
    documents = texts(240)
    with apus.Server("--data", tmp_path, "--precision", "fp32") as server:
        made(server, "kept")
        acknowledged = []

        def put(start):
            with contextlib.suppress(OSError, apus.http.client.HTTPException):
                reply = server.post("/v1/collections/kept/documents", {"documents": [{"id": str(i), "text": documents[i]} for i in range(start, start + 8)]})
                if reply.status == 200:
                    acknowledged.extend(range(start, start + 8))

        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            jobs = [pool.submit(put, start) for start in range(0, 240, 8)]
            apus.eventually(lambda: len(acknowledged) >= 40, server=server)
            server.process.send_signal(signal.SIGKILL)
            for job in jobs:
                job.result()
        server.process.wait()
    assert 40 <= len(acknowledged) < 240
    for _ in range(2):
        with apus.Server("--data", tmp_path, "--precision", "fp32") as server:
            stored = described(server, "kept")["documents"]
            assert len(acknowledged) <= stored <= 240 and stored % 8 == 0
            for i in acknowledged:
                reply = server.get(f"/v1/collections/kept/documents/{i}?include=text,vector")
                assert reply.status == 200 and reply.json["text"] == documents[i]
            some = acknowledged[:20]
            vectors = apus.vectors(server.embed([documents[i] for i in some]))
            for i, vector in zip(some, vectors):
                assert np.abs(vector - server.get(f"/v1/collections/kept/documents/{i}?include=vector").json["vector"]).max() < 1e-5
                assert search(server, "kept", query=documents[i], k=1)[0][0]["id"] == str(i)
            assert server.signal_and_wait() == 0


def test_drain_answers_the_writes_it_took(tmp_path):
    with apus.Server("--data", tmp_path) as server:
        made(server, "drained", model=None, dimensions=8)
        acknowledged, begun = [], threading.Event()

        def put(worker):
            for n in range(10_000):
                try:
                    reply = server.post("/v1/collections/drained/documents", {"documents": [{"id": f"{worker}-{n}", "vector": [worker, n, 1, 1, 1, 1, 1, 1]}]})
                except (OSError, apus.http.client.HTTPException):
                    return
                if reply.status != 200:
                    return refused(reply, 503, "shutting_down")
                acknowledged.append(f"{worker}-{n}")
                if len(acknowledged) > 20:
                    begun.set()

        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            jobs = [pool.submit(put, worker) for worker in range(4)]
            assert begun.wait(60)
            assert server.signal_and_wait() == 0
            for job in jobs:
                job.result()
    with apus.Server("--data", tmp_path) as server:
        listed, after = set(), ""
        while after is not None:
            page = server.get(f"/v1/collections/drained/documents?limit=1000&include=&after={after}").json
            listed |= {document["id"] for document in page["data"]}
            after = page["next"]
        assert set(acknowledged) <= listed and len(listed) <= len(acknowledged) + 4


def damage_garbage(path):
    path.write_bytes(b"not a database " * 4096)


def damage_foreign(path):
    path.unlink()
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE cities (name TEXT)")
        database.commit()


def damage_half(path):
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])


def damage_missing(path):
    path.unlink()


def damage_folder(path):
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize("file", ["documents.sqlite", "vectors"])
@pytest.mark.parametrize("damage", [damage_garbage, damage_foreign, damage_half, damage_missing, damage_folder])
def test_a_corrupt_collection_is_told_and_stays_alone(tmp_path, file, damage):
    """Row 98 of the catalogue of hostile inputs."""
    with apus.Server("--data", tmp_path) as server:
        for name in ("broken", "whole"):
            made(server, name, model=None, dimensions=16)
            write(server, name, [{"id": str(i), "vector": [i + 1] + [1] * 15, "text": "x" * 500} for i in range(500)])
        assert server.signal_and_wait() == 0
    folder = tmp_path / "collections/broken"
    for leftover in folder.glob("documents.sqlite-*"):
        leftover.unlink()
    (path,) = [path for path in folder.iterdir() if path.name.startswith(file)]
    damage(path)
    # What cannot even be read as a file may be a matter of the disk and not of the file.
    code = "store_unavailable" if (damage, file) == (damage_folder, "vectors") else "store_corrupt"
    with apus.Server("--data", tmp_path) as server:
        for reply in (
            server.get("/v1/collections/broken"), server.get("/v1/collections/broken/documents/1"), server.post("/v1/collections/broken/search", {"vector": [1] * 16}),
            server.post("/v1/collections/broken/documents", {"documents": [{"id": "n", "vector": [1] * 16}]}), server.post("/v1/collections/broken/compact", b""),
        ):
            refused(reply, 503, code)
            assert reply.headers["retry-after"] and str(tmp_path) not in reply.body.decode()
        assert str(folder) in server.output()
        listed = {entry["name"]: entry for entry in server.get("/v1/collections").json["data"]}
        assert listed["broken"]["error"]["code"] == code and listed["whole"]["documents"] == 500
        assert len(search(server, "whole", vector=[1] * 16, k=5)[0]) == 5
        write(server, "whole", [{"id": "new", "vector": [1] * 16}])
        assert server.embed("x").status == 200 and server.get("/health/ready").status == 200
        assert server.request("DELETE", "/v1/collections/broken").status == 200
        made(server, "broken")


def test_a_folder_in_use_or_of_no_use_disturbs_nothing(tmp_path):
    with apus.Server("--data", tmp_path / "shared") as first, apus.Server("--data", tmp_path / "shared") as second:
        made(first, "notes")
        refused(second.get("/v1/collections"), 503, "store_unavailable")
        assert second.get("/v1/collections").headers["retry-after"] and second.embed("x").status == 200
        assert second.get("/health/ready").status == 200
        first.close()
        # The folder is free now, and is had without a restart.
        apus.eventually(lambda: second.get("/v1/collections").status == 200, server=second)
        assert described(second, "notes")["documents"] == 0
    occupied = tmp_path / "file"
    occupied.write_text("a file where the folder should be")
    with apus.Server("--data", occupied) as server:
        refused(server.post("/v1/collections", {"name": "x"}), 503, "store_unavailable")
        assert str(tmp_path) not in server.post("/v1/collections", {"name": "x"}).body.decode()
        assert server.embed("x").status == 200 and server.get("/health/ready").status == 200


def test_a_full_disk_refuses_writes_and_nothing_else(tmp_path):
    with apus.Server("--data", tmp_path) as server:
        made(server, "full", model=None, dimensions=256)
        batch = [{"id": str(i), "vector": [i] * 256, "text": "t" * 1000} for i in range(1000)]
        write(server, "full", batch)
        before = described(server, "full")["documents"]
        largest = max(path.stat().st_size for path in (tmp_path / "collections/full").iterdir())
        resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (largest + 4096, resource.RLIM_INFINITY))
        for n in range(3):
            reply = server.post("/v1/collections/full/documents", {"documents": [dict(document, id=f"{n}-{document['id']}") for document in batch]})
            refused(reply, 503, "store_unavailable")
        assert described(server, "full")["documents"] == before
        assert len(search(server, "full", vector=[1] * 256, k=7)[0]) == 7
        assert server.embed("x").status == 200 and server.get("/health/ready").status == 200
        resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        assert write(server, "full", [dict(document, id=f"after-{document['id']}") for document in batch]).json["added"] == 1000
        assert described(server, "full")["documents"] == before + 1000


def test_vectors_of_another_model_are_not_mixed(tmp_path):
    data, tiny = tmp_path / "data", apus.TINY / "bert-mean"
    if not tiny.exists():
        tiny = sorted(folder for folder in apus.TINY.iterdir() if (folder / "golden.json").exists())[0]
    # Another model under the name of the first.
    renamed = tmp_path / apus.DEFAULT_MODEL
    shutil.copytree(tiny, renamed)
    with apus.Server("--data", data) as server:
        made(server, "notes")
        write(server, "notes", [{"id": "a", "text": "swifts"}])
    for model in (renamed, tiny):
        with apus.Server("--data", data, "--model", model) as server:
            refused(server.post("/v1/collections/notes/search", {"query": "x"}), 409, "model_mismatch")
            refused(server.post("/v1/collections/notes/documents", {"documents": [{"text": "x"}]}), 409, "model_mismatch")
            assert search(server, "notes", vector=[1] + [0] * 383)[0][0]["text"] == "swifts"


def test_search_goes_on_while_documents_are_written(served):
    made(served, "busy", model=None, dimensions=32)
    random = np.random.default_rng(4)
    vectors = random.standard_normal((2000, 32)).astype(np.float32)
    stop, seen = threading.Event(), []

    def look():
        while not stop.is_set():
            for hit in search(served, "busy", vector=vectors[5].tolist(), k=20, include=["vector"])[0]:
                # A hit is whole: its vector is its id's, and its score is of that vector.
                row = vectors[int(hit["id"])]
                assert np.array_equal(np.array(hit["vector"], np.float32), row)
                cosine = float(row @ vectors[5] / np.linalg.norm(row) / np.linalg.norm(vectors[5]))
                assert abs(hit["score"] - cosine) < 1e-4
                seen.append(hit["id"])

    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        lookers = [pool.submit(look) for _ in range(2)]
        for start in range(0, 2000, 50):
            write(served, "busy", [{"id": str(i), "vector": vectors[i].tolist()} for i in range(start, start + 50)])
        stop.set()
        for looker in lookers:
            looker.result()
    assert len(seen) > 20 and search(served, "busy", vector=vectors[5].tolist(), k=1)[0][0]["id"] == "5"
    assert served.metric("apus_collections_documents_total", change="added") >= 2000
    assert served.metric("apus_collections_queries_total") >= len(seen) / 20
    assert served.metric("apus_collections_write_seconds_count") >= 40 and served.metric("apus_collections_search_seconds_count") > 0


def test_keys_of_other_scopes_reach_no_collection(tmp_path):
    keys = [{"name": scope, "sha256": hashlib.sha256(f"key-of-{scope}".encode()).hexdigest(), "scopes": [scope]} for scope in ("infer", "admin", "metrics")]
    config = tmp_path / "apus.yaml"
    config.write_text(json.dumps({"auth": {"keys": keys}}))
    with apus.Server("--config", config, "--data", tmp_path / "data", ready=False) as server:
        def ask(scope, method, path, body=None):
            headers = {"Authorization": f"Bearer key-of-{scope}", **apus.JSON_HEADERS}
            return server.request(method, path, json.dumps(body) if body is not None else None, headers)

        apus.eventually(lambda: server.process.poll() is None and _ready(server, ask), server=server)
        assert ask("infer", "POST", "/v1/collections", {"name": "notes"}).status == 201
        for scope in ("admin", "metrics"):
            for method, path, body in (("GET", "/v1/collections", None), ("GET", "/v1/collections/notes", None), ("POST", "/v1/collections", {"name": "x"}),
                                       ("POST", "/v1/collections/notes/search", {"query": "x"}), ("GET", "/v1/collections/notes/documents", None)):
                refused(ask(scope, method, path, body), 403, "insufficient_scope")
        refused(ask("infer", "DELETE", "/v1/collections/notes"), 403, "insufficient_scope")
        refused(server.get("/v1/collections"), 401, "invalid_api_key")
        assert ask("admin", "DELETE", "/v1/collections/notes").status == 200


def _ready(server, ask):
    with contextlib.suppress(OSError):
        return ask("metrics", "GET", "/health/ready").status == 200
    return False
