"""Keys: who is let in, how far, how often, and that a key shows up nowhere."""
import concurrent.futures
import hashlib
import json
import re
import socket
import time

import openai
import pytest

import apus

CONFIGURATION = 78
KEYS = {name: f"key-of-{name}" for name in ("all", "infer", "admin", "metrics", "slow", "words", "low", "short")}


def digest(key):
    return hashlib.sha256(key.encode()).hexdigest()


def bearer(name):
    return {"Authorization": f"Bearer {KEYS[name]}"}


def entry(name, **settings):
    return {"name": name, "sha256": digest(KEYS[name]), **settings}


ENTRIES = [
    entry("all", scopes=["infer", "admin", "metrics"]),
    entry("infer"),
    entry("admin", scopes=["admin"]),
    entry("metrics", scopes=["metrics"]),
    entry("slow", requests_per_minute=2),
    entry("words", tokens_per_minute=60),
    entry("low", priority="low", max_queue_seconds=5),
    entry("short", max_queue_seconds=0.05),
]


class KeyedServer(apus.Server):
    """Sends the key of `all` unless a test gives a key of its own, or `key=None`."""

    def request(self, method, path, body=None, headers=None, timeout=120, key="all"):
        return super().request(method, path, body, {**(bearer(key) if key else {}), **(headers or {})}, timeout)


def write(folder, document, name="apus.yaml"):
    path = folder / name
    path.write_text(json.dumps(document), encoding="utf-8")  # JSON is YAML
    return path


@pytest.fixture(scope="module")
def keyed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("keys")
    models = [str(apus.MODEL_DIRECTORY), {"path": str(apus.TINY / "bert-mean"), "id": "tiny"}]
    with KeyedServer("--config", write(folder, {"auth": {"keys": ENTRIES}, "models": models})) as running:
        yield running
        assert running.process.poll() is None, running.output()
        log = running.output()
        for key in KEYS.values():
            assert key not in log and digest(key) not in log


ROUTES = [
    ("GET", "/health/ready", {"infer", "admin", "metrics"}),
    ("GET", "/metrics", {"admin", "metrics"}),
    ("GET", "/v1/models", {"infer", "admin"}),
    ("GET", f"/v1/models/{apus.DEFAULT_MODEL}", {"infer", "admin"}),
    ("POST", "/v1/embeddings", {"infer"}),
    ("GET", "/v1/devices", {"admin", "metrics"}),
    ("GET", "/v1/devices/cpu:0", {"admin", "metrics"}),
    ("POST", "/v1/devices/cpu:0/probe", {"admin"}),
    ("POST", "/v1/devices/clear_cache", {"admin"}),
]


@pytest.mark.parametrize("method,path,scopes", ROUTES, ids=[f"{method} {path}" for method, path, _ in ROUTES])
def test_a_route_wants_a_key_with_its_scope(keyed, method, path, scopes):
    body = json.dumps({"model": apus.DEFAULT_MODEL, "input": "text"}) if path == "/v1/embeddings" else None
    for stranger in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic eDp5"}, {"Authorization": "Bearer " + "k" * 10_000},
                     {"Authorization": KEYS["all"]}, {"X-Api-Key": KEYS["all"]}):
        reply = keyed.request(method, path, body, {**apus.JSON_HEADERS, **stranger}, key=None)
        assert (reply.status, reply.error["code"]) == (401, "invalid_api_key"), (stranger, reply)
        assert reply.headers["www-authenticate"] == "Bearer"
    for scope in ("infer", "admin", "metrics"):
        reply = keyed.request(method, path, body, apus.JSON_HEADERS, key=scope)
        if scope in scopes:
            assert reply.status in (200, 202), (scope, reply)
        else:
            assert (reply.status, reply.error["code"]) == (403, "insufficient_scope"), (scope, reply)


def test_what_is_nowhere_is_told_to_those_with_a_key_only(keyed):
    for path in ("/", "/v1", "/v1/chat/completions", "/admin", "/v1/models/x/load", "/health/live/x", "//health/live"):
        assert keyed.get(path, key=None).status == 401, path
    assert keyed.get("/v1/nothing").status == 404
    live = keyed.get("/health/live", key=None)
    assert (live.status, live.body) == (200, b"ok\n")


def test_a_stranger_is_refused_before_the_body_arrives(keyed):
    head = b"POST /v1/embeddings HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 33554432\r\n"
    started = time.monotonic()
    answer = keyed.raw(head + b"Expect: 100-continue\r\n\r\n", timeout=60)
    assert answer.startswith(b"HTTP/1.1 401 "), answer
    assert time.monotonic() - started < 25, "it waited for the body, as long as one may take"
    # Without a word from the server many hosts send on; what they send is read away and not kept.
    before = keyed.own_bytes()
    connections = []
    for _ in range(20):
        connection = socket.create_connection(("127.0.0.1", keyed.port), timeout=60)
        connection.sendall(head + b"\r\n")
        assert connection.recv(12) == b"HTTP/1.1 401"
        connections.append(connection)
    assert keyed.own_bytes() - before < 20 << 20
    for connection in connections:
        connection.close()
    assert keyed.embed("text").status == 200


def test_the_openai_client_says_what_is_wrong_with_its_key(keyed):
    def client(key):
        return openai.OpenAI(base_url=keyed.base + "/v1", api_key=key, max_retries=0)

    result = client(KEYS["infer"]).embeddings.create(model=apus.DEFAULT_MODEL, input=["one", "two"])
    assert [len(row.embedding) for row in result.data] == [384, 384]
    assert [model.id for model in client(KEYS["infer"]).models.list()] == [apus.DEFAULT_MODEL, "tiny"]
    with pytest.raises(openai.AuthenticationError) as refused:
        client("wrong").embeddings.create(model=apus.DEFAULT_MODEL, input="one")
    assert refused.value.code == "invalid_api_key"
    with pytest.raises(openai.PermissionDeniedError) as refused:
        client(KEYS["metrics"]).embeddings.create(model=apus.DEFAULT_MODEL, input="one")
    assert refused.value.code == "insufficient_scope"


def test_requests_per_minute_are_counted_for_each_key(keyed):
    codes = [keyed.embed("text", headers=bearer("slow")).status for _ in range(2)]
    assert codes == [200, 200]
    refused = keyed.embed("text", headers=bearer("slow"))
    assert (refused.status, refused.error["code"]) == (429, "rate_limit_exceeded")
    assert 1 <= int(refused.headers["retry-after"]) <= 30
    assert "'slow'" in refused.error["message"]
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        assert set(pool.map(lambda _: keyed.embed("text", headers=bearer("infer")).status, range(40))) == {200}
    with pytest.raises(openai.RateLimitError):
        openai.OpenAI(base_url=keyed.base + "/v1", api_key=KEYS["slow"], max_retries=0).embeddings.create(model=apus.DEFAULT_MODEL, input="x")
    assert keyed.metric("apus_requests_total", route="/v1/embeddings", code="rate_limit_exceeded") >= 2


def test_tokens_per_minute_are_those_that_were_run(keyed):
    text = "one two three four five six seven eight nine ten"  # 12 tokens with [CLS] and [SEP], estimated at 14
    used = 0
    for _ in range(10):
        reply = keyed.embed(text, headers=bearer("words"))
        if reply.status == 429:
            break
        used += reply.json["usage"]["total_tokens"]
    assert reply.status == 429 and "tokens per minute" in reply.error["message"]
    assert used == 48, used  # four of twelve; a fifth is estimated at more than the rest
    assert 1 <= int(reply.headers["retry-after"]) <= 60
    assert keyed.embed("x", headers=bearer("words")).status == 200


def test_a_key_has_only_so_much_work_waiting(keyed):
    def ask(number):
        texts = [f"request {number} text {row} " + "of some length " * 20 for row in range(64)]
        return keyed.embed(texts, headers=bearer("short"), model=apus.MODEL_DIRECTORY.name)

    with concurrent.futures.ThreadPoolExecutor(12) as pool:
        replies = list(pool.map(ask, range(12)))
    assert {reply.status for reply in replies} == {200, 429}, replies
    for reply in replies:
        if reply.status == 429:
            assert reply.error["code"] == "rate_limit_exceeded" and int(reply.headers["retry-after"]) >= 1
    # Others are not held to it.
    assert keyed.embed("a text").status == 200


def test_a_key_may_ask_for_a_class_above_its_own_and_is_served_in_its_own(keyed):
    for priority in ("high", "medium", "low"):
        assert keyed.embed("text", headers={**bearer("low"), "x-apus-priority": priority}).status == 200
    assert keyed.embed("text", headers={**bearer("low"), "x-apus-priority": "urgent"}).status == 400


def test_partial_answers_have_the_error_in_its_place(keyed):
    whole = keyed.embed(["first", "third"])
    long = "word " * 2_000
    reply = keyed.embed(["first", "", "third", long], partial=True, truncate=False)
    assert reply.status == 200, reply
    assert reply.headers["x-apus-errors"] == "2"
    data = reply.json["data"]
    assert [(row["object"], row["index"]) for row in data] == [("embedding", 0), ("error", 1), ("embedding", 2), ("error", 3)]
    assert [data[1]["error"]["code"], data[3]["error"]["code"]] == ["empty_input", "context_length_exceeded"]
    assert [data[1]["error"]["param"], data[3]["error"]["param"]] == ["input[1]", "input[3]"]
    lowest, _ = apus.agreement([data[0]["embedding"], data[2]["embedding"]], apus.vectors(whole))
    assert lowest > 0.9999
    assert reply.json["usage"] == whole.json["usage"]
    tokens = keyed.embed([[101, 102], [101, 999_999], [101, -1, 102]], partial=True, encoding_format="base64")
    assert [row["object"] for row in tokens.json["data"]] == ["embedding", "error", "error"]
    assert isinstance(tokens.json["data"][0]["embedding"], str)
    client = openai.OpenAI(base_url=keyed.base + "/v1", api_key=KEYS["infer"], max_retries=0)
    told = client.embeddings.create(model=apus.DEFAULT_MODEL, input=["first", ""], extra_body={"partial": True}).data
    assert [row.object for row in told] == ["embedding", "error"] and len(told[0].embedding) == 384
    everything = keyed.embed(["", ""], partial=True)
    assert (everything.status, everything.error["code"]) == (400, "empty_input")
    assert keyed.embed(["first", ""]).status == 400


def test_models_are_loaded_and_unloaded_by_name_only(keyed):
    for name in ("nothing", "..%2F..%2Fetc", str(apus.MODEL_DIRECTORY).replace("/", "%2F")):
        for verb in ("load", "unload"):
            reply = keyed.post(f"/v1/models/{name}/{verb}", b"")
            assert (reply.status, reply.error["code"]) == (404, "model_not_found"), reply
    for key in ("infer", "metrics"):
        assert keyed.post("/v1/models/tiny/unload", b"", bearer(key)).status == 403


def test_an_unloaded_model_takes_no_work_until_it_is_loaded_again(keyed):
    before = apus.vectors(keyed.embed("text", model="tiny"))
    unloaded = keyed.post("/v1/models/tiny/unload", b"")
    assert (unloaded.status, unloaded.json) == (200, {"id": "tiny", "object": "model", "state": "unloaded"}), unloaded
    refused = keyed.embed("text", model="tiny")
    assert (refused.status, refused.error["code"]) == (503, "model_unloaded")
    assert int(refused.headers["retry-after"]) >= 1
    assert keyed.embed("text").status == 200 and keyed.get("/health/ready").status == 200
    loaded = keyed.post("/v1/models/tiny/load", b"")
    assert (loaded.status, loaded.json["state"]) == (200, "ready"), loaded
    assert (apus.vectors(keyed.embed("text", model="tiny")) == before).all()


BROKEN = {
    "no keys": ({"auth": {"keys": []}}, ["auth.keys", "empty"]),
    "no digest": ({"auth": {"keys": [{"name": "a"}]}}, ["auth.keys[0]", "sha256"]),
    "the key itself": ({"auth": {"keys": [{"name": "a", "sha256": "my-own-secret"}]}}, ["auth.keys[0].sha256", "64"]),
    "a scope that is none": ({"auth": {"keys": [{**ENTRIES[1], "scopes": ["root"]}]}}, ["auth.keys[0].scopes[0]", "infer, admin, metrics"]),
    "a name twice": ({"auth": {"keys": [ENTRIES[1], {**ENTRIES[2], "name": "infer"}]}}, ["auth.keys", "'infer'"]),
    "a key twice": ({"auth": {"keys": [ENTRIES[1], {**ENTRIES[1], "name": "other"}]}}, ["auth.keys", "same key"]),
    "a file that is not there": ({"auth": {"keys_file": "missing.yaml"}}, ["auth.keys_file", "missing.yaml"]),
}


@pytest.mark.parametrize("document,words", BROKEN.values(), ids=BROKEN.keys())
def test_keys_that_cannot_be_end_the_start_with_78(tmp_path, document, words):
    result = apus.run("serve", "--port", apus.free_port(), "--config", write(tmp_path, document), timeout=60)
    assert result.returncode == CONFIGURATION, (result.returncode, result.stderr)
    assert "my-own-secret" not in result.stderr
    for word in words:
        assert word in result.stderr, result.stderr


def test_a_key_made_on_the_command_line_opens_the_server_that_has_its_snippet(tmp_path):
    made = apus.run("keys", "new", "me", "--scope", "infer", "--scope", "metrics")
    assert made.returncode == 0, made.stderr
    key = re.search(r"apus-[0-9a-f]{64}", made.stdout)[0]
    snippet = made.stdout[made.stdout.index("auth:"):]
    assert key not in snippet
    path = tmp_path / "apus.yaml"
    path.write_text(f"{snippet}\nmodels:\n  - {json.dumps(str(apus.TINY / 'bert-mean'))}\n", encoding="utf-8")
    KEYS["all"], kept = key, KEYS["all"]
    try:
        with KeyedServer("--config", path) as server:
            assert server.embed("text", model="bert-mean").status == 200
            assert server.get("/v1/models", key=None).status == 401
            assert key not in server.output()
    finally:
        KEYS["all"] = kept
    again = json.loads(apus.run("keys", "new", "me", "--json").stdout)
    assert again["key"] != key and again["sha256"] == digest(again["key"]) and again["scopes"] == ["infer"]
    assert apus.run("keys", "digest", stdin="my key\n").stdout.strip() == digest("my key")
    assert apus.run("keys", "new", "a b").returncode == 2
    assert apus.run("keys", "digest", stdin="").returncode == 1


def test_listening_beyond_this_machine_is_warned_of_only_without_keys(tmp_path):
    tiny = ["--model", apus.TINY / "bert-mean", "--host", "0.0.0.0"]
    with KeyedServer("--config", write(tmp_path, {"auth": {"keys": ENTRIES}}), *tiny) as server:
        assert "without authentication" not in server.output()
    with apus.Server(*tiny) as server:
        assert "without authentication" in server.output()
