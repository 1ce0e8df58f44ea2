"""What a server remembers of texts: what it says of it, what survives a restart, and that neither a file nor a Redis ever fails a request."""
import contextlib
import hashlib
import os
import pathlib
import signal
import socket
import sqlite3
import subprocess
import time

import numpy as np
import pytest

import apus

REDIS = apus.ROOT / ".apus/test-tools/redis-server"


def texts(count, name="text"):
    return [f"{name} number {number} of {count}" for number in range(count)]


def cache(reply):
    """Hits and misses as the header tells them."""
    assert reply.status == 200, reply
    return tuple(int(part.split("=")[1]) for part in reply.headers["x-apus-cache"].split(", "))


@pytest.fixture(scope="module")
def remembering():
    with apus.Server("--precision", "fp32", cache=True) as running:
        yield running
        assert running.process.poll() is None, running.output()


def test_a_text_is_computed_once_and_told_as_what_it_is(remembering):
    inputs = texts(5, "told")
    computed = remembering.metric("apus_inputs_total")
    first = remembering.embed(inputs, provenance=True)
    second = remembering.embed([inputs[3], "a new one among them", inputs[0]], provenance=True)
    assert cache(first) == (0, 5) and cache(second) == (2, 1)
    assert remembering.metric("apus_inputs_total") == computed + 6
    assert np.array_equal(apus.vectors(second)[[0, 2]], apus.vectors(first)[[3, 0]])
    before, after = first.json["provenance"], second.json["provenance"]
    assert [row["cache"] for row in after] == ["hit", "miss", "hit"]
    assert [row["batch_size"] for row in after] == [0, 1, 0]
    for hit, computed_as in ((after[0], before[3]), (after[2], before[0])):
        assert hit["queue_ms"] == hit["run_ms"] == hit["padding"] == 0
        assert all(hit[name] == computed_as[name] for name in ("device", "precision", "fallback", "truncated", "original_tokens"))
    again = remembering.embed(inputs)
    assert cache(again) == (5, 0) and again.json["usage"] == first.json["usage"]
    assert again.headers["x-apus-device"] == first.headers["x-apus-device"] and again.headers["x-apus-batch"] == "0"
    assert remembering.metric("apus_cache_hits_total", level="memory") >= 7


def test_an_entry_serves_every_number_of_dimensions(remembering):
    (text,) = texts(1, "matryoshka")
    short = remembering.embed(text, dimensions=64)
    whole, other = remembering.embed(text), remembering.embed(text, dimensions=100)
    assert [cache(reply) for reply in (short, whole, other)] == [(0, 1), (1, 0), (1, 0)]
    vector = apus.vectors(whole)[0]
    for reply, count in ((short, 64), (other, 100)):
        head = vector[:count].astype(np.float64)
        assert np.abs(apus.vectors(reply)[0] - head / np.linalg.norm(head)).max() < 1e-6


def test_truncation_is_remembered_and_still_refused(remembering):
    long = "word " * 600 + "at the end"
    first, second = remembering.embed(long), remembering.embed(["short beside it", long])
    assert cache(second) == (1, 1)
    assert first.headers["x-apus-truncated"] == second.headers["x-apus-truncated"] == "1"
    refused = remembering.embed(["short beside it", long], truncate=False)
    assert (refused.status, refused.error["code"], refused.error["param"]) == (400, "context_length_exceeded", "input[1]")


def test_tokens_texts_and_spellings_are_told_apart(remembering):
    inputs = ["caf\u00e9", "cafe\u0301", "CAF\u00c9"]
    assert [cache(remembering.embed(text)) for text in inputs] == [(0, 1)] * 3
    assert cache(remembering.embed([[101, 7592, 102], [101, 7592, 102]])) == (0, 2)
    assert cache(remembering.embed([[101, 7592, 102], [101, 2088, 102]])) == (1, 1)


def test_similarity_uses_it_and_the_status_tells_of_it(remembering):
    pair = texts(2, "similar")
    body = {"model": apus.DEFAULT_MODEL, "source_sentence": pair[0], "sentences": [pair[1], pair[0]]}
    first, second = remembering.post("/v1/similarity", body), remembering.post("/v1/similarity", body)
    assert cache(second) == (3, 0) and first.json["scores"] == second.json["scores"]
    told = remembering.get("/v1/devices").json["cache"]
    assert told["entries"] > 0 and told["max_entries"] == 100_000 and told["max_mb"] == 256 and told["stores"] == []
    shown = apus.run("gpu", "status", "--url", remembering.base)
    assert f"cache: {told['entries']} of 100000 texts" in shown.stdout, shown.stdout


def test_it_is_bounded():
    with apus.Server(cache=True, env={"APUS_CACHE_ENTRIES": "10"}) as server:
        server.embed(texts(50))
        assert server.metric("apus_cache_entries", level="memory") == 10
        assert server.metric("apus_cache_evictions_total", level="memory") == 40


@pytest.mark.parametrize("per_key", (True, False))
def test_keys_do_not_learn_of_each_other_unless_they_may(tmp_path, per_key):
    keys = {"one": "first-secret", "two": "second-secret"}
    config = tmp_path / "apus.yaml"
    config.write_text("auth:\n  keys:\n" + "".join(
        f"    - name: {name}\n      sha256: {hashlib.sha256(key.encode()).hexdigest()}\n      scopes: [infer, metrics]\n" for name, key in keys.items())
        + ("" if per_key else "cache:\n  per_key: false\n"))

    def ask(server, name):
        return cache(server.embed("between us", headers={"Authorization": f"Bearer {keys[name]}"}))

    with apus.Server("--config", config, ready=False, cache=True) as server:
        apus.eventually(lambda: "gave its known answer" in server.output(), server=server)
        assert [ask(server, "one"), ask(server, "one")] == [(0, 1), (1, 0)]
        assert ask(server, "two") == ((0, 1) if per_key else (1, 0))


def test_off_is_off():
    for arguments in (["--no-cache"], ["--chaos", "cpu:0:slow@1000000x1"]):
        with apus.Server(*arguments, cache=True) as server:
            assert [cache(server.embed("twice")) for _ in range(2)] == [(0, 1)] * 2
            assert server.get("/v1/devices").json["cache"] is None


def test_a_model_unloaded_and_loaded_again_still_knows(remembering):
    inputs = texts(4, "reload")
    first = remembering.embed(inputs)
    for action in ("unload", "load"):
        remembering.post(f"/v1/models/{apus.DEFAULT_MODEL}/{action}", {})
        apus.eventually(lambda: remembering.embed("ready?").status == (503 if action == "unload" else 200), server=remembering)
    second = remembering.embed(inputs)
    assert cache(second) == (4, 0) and np.array_equal(apus.vectors(first), apus.vectors(second))


# What survives a restart.


def kept(path, *arguments, **env):
    return apus.Server("--precision", "fp32", *arguments, cache=True, env={"APUS_CACHE_PATH": str(path), **env})


def written(server, count):
    apus.eventually(lambda: server.metric("apus_cache_writes_total", level="disk") >= count, server=server)


def restored(server):
    apus.eventually(lambda: "remembers" in server.output() or "not kept" in server.output() or "new one is begun" in server.output(), server=server)


def test_a_restart_forgets_nothing(tmp_path):
    path, inputs = tmp_path / "cache.sqlite", texts(300)
    with kept(path) as server:
        first = server.embed(inputs)
    with kept(path) as server:
        restored(server)
        second = server.embed(inputs)
        assert cache(second) == (300, 0) and np.array_equal(apus.vectors(first), apus.vectors(second))
        assert server.metric("apus_cache_entries", level="disk") == 300
    with kept(path, "--precision", "bf16") as server:
        restored(server)
        assert cache(server.embed(inputs[:3])) == (0, 3)


@pytest.mark.parametrize("size", ("--tensor-parallel", "--pipeline-parallel"))
def test_all_devices_of_a_group_are_told_again_and_after_a_restart(tmp_path, size):
    path, (text,) = tmp_path / "cache.sqlite", texts(1, "together")
    told = []
    with kept(path, "--devices", "cpu:2", size, "2") as server:
        told += [server.embed(text, provenance=True) for _ in range(2)]
        written(server, 1)
    with kept(path, "--devices", "cpu:2", size, "2") as server:
        restored(server)
        told.append(server.embed(text, provenance=True))
    assert [cache(reply) for reply in told] == [(0, 1), (1, 0), (1, 0)]
    assert [reply.headers["x-apus-device"] for reply in told] == ["cpu:0,cpu:1"] * 3
    assert [reply.json["provenance"][0]["device"] for reply in told] == ["cpu:0,cpu:1"] * 3
    assert len({reply.json["data"][0]["embedding"].__repr__() for reply in told}) == 1


def test_what_was_written_survives_kill_9(tmp_path):
    path = tmp_path / "cache.sqlite"
    for turn in range(3):
        with kept(path) as server:
            restored(server)
            if turn:
                assert cache(server.embed(texts(200, f"turn {turn - 1}"))) == (200, 0)
            server.embed(texts(200, f"turn {turn}"))
            written(server, 200)
            server.embed(texts(50, f"on the way {turn}"))
            server.process.kill()
            server.process.wait()
    database = sqlite3.connect(path)
    assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    database.close()


@pytest.mark.parametrize("what", ("garbage", "truncated", "foreign"))
def test_a_file_that_is_none_is_put_aside(tmp_path, what):
    path = tmp_path / "cache.sqlite"
    if what == "garbage":
        path.write_bytes(os.urandom(100_000))
    elif what == "foreign":
        with contextlib.closing(sqlite3.connect(path)) as database:
            database.execute("CREATE TABLE orders (id)")
            database.commit()
    else:
        with kept(path) as server:
            server.embed(texts(500))
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with kept(path) as server:
        first = server.embed(texts(20))
        assert first.status == 200
        apus.eventually(lambda: list(tmp_path.glob("cache.sqlite.aside-*")), server=server)
        written(server, 20)
        assert server.output().count("a new one is begun") == 1
    with kept(path) as server:
        restored(server)
        assert cache(server.embed(texts(20))) == (20, 0)


def test_a_file_that_cannot_be_used_is_done_without(tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    with kept(folder) as server:
        restored(server)
        assert [cache(server.embed("twice")) for _ in range(2)] == [(0, 1), (1, 0)]
        assert server.metric("apus_cache_available", level="disk") == 0
        (store,) = server.get("/v1/devices").json["cache"]["stores"]
        assert store["level"] == "disk" and not store["available"] and "folder" in store["trouble"]


def test_a_full_disk_costs_nothing_but_what_is_kept(tmp_path):
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", tmp_path], capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"a small file system cannot be mounted here: {mounted.stderr.strip()}")
    try:
        with kept(tmp_path / "cache.sqlite") as server:
            restored(server)
            for turn in range(4):
                assert cache(server.embed(texts(300, f"turn {turn}"))) == (0, 300)
            apus.eventually(lambda: server.metric("apus_cache_available", level="disk") == 0, server=server)
            assert server.metric("apus_cache_dropped_writes_total", level="disk") > 0
            assert cache(server.embed(texts(300, "turn 3"))) == (300, 0)
            assert server.output().count("is not kept") == 1 and "disk is full" in server.output()
    finally:
        subprocess.run(["umount", tmp_path], check=True)


def test_the_command_line_remembers_in_a_file(tmp_path):
    path = tmp_path / "cache.sqlite"
    one, two = (apus.run("embed", "a text to keep", "and another", "--cache", path) for _ in range(2))
    assert one.returncode == two.returncode == 0, two.stderr
    assert one.stdout == two.stdout
    with contextlib.closing(sqlite3.connect(path)) as database:
        assert database.execute("SELECT count(*), max(number) FROM entries").fetchone() == (2, 2)
    assert apus.run("embed", "text", "--cache", path, "--no-cache").returncode == 2


# What servers share.


class Redis:
    """Debian's redis-server on a port of loopback."""

    def __init__(self, folder, *arguments):
        self.folder, self.arguments, self.port = folder, arguments, apus.free_port()
        self.start()

    def start(self):
        self.process = subprocess.Popen(
            [str(REDIS), "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", str(self.folder), *self.arguments],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        apus.eventually(self.answers, seconds=30)

    def answers(self):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
            return True
        return False

    def ask(self, *words):
        with socket.create_connection(("127.0.0.1", self.port), 5) as connection:
            command = b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words)
            connection.sendall(command)
            time.sleep(0.05)
            return connection.recv(1 << 20)

    def keys(self):
        return [line for line in self.ask(b"KEYS", b"*").split(b"\r\n") if line.startswith(b"apus:embedding:1:")]

    def kill(self):
        self.process.send_signal(signal.SIGCONT)
        self.process.kill()
        self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()


needs_redis = pytest.mark.skipif(not REDIS.exists(), reason="there is no redis-server; run: scripts/setup-tests")


def sharing(port, password="", **env):
    url = f"redis://{f':{password}@' if password else ''}127.0.0.1:{port}/0"
    return apus.Server("--precision", "fp32", cache=True, env={"APUS_CACHE_REDIS_URL": url, **env})


def used(server, yes=True):
    apus.eventually(lambda: server.metric("apus_cache_available", level="redis") == (1 if yes else 0), server=server)


@needs_redis
def test_servers_share_what_one_computed(tmp_path):
    inputs = texts(300)
    with Redis(tmp_path, "--requirepass", "open sesame") as redis:
        with sharing(redis.port, "open%20sesame", APUS_CACHE_REDIS_TTL_SECONDS="60") as one, sharing(redis.port, "open%20sesame", APUS_CACHE_REDIS_TIMEOUT_MS="1000") as two:
            used(one), used(two)
            first = one.embed(inputs)
            apus.eventually(lambda: one.metric("apus_cache_writes_total", level="redis") == 300, server=one)
            second = two.embed(inputs, provenance=True)
            assert cache(first) == (0, 300) and cache(second) == (300, 0)
            assert np.array_equal(apus.vectors(first), apus.vectors(second)) and first.json["usage"] == second.json["usage"]
            assert two.metric("apus_inputs_total") == 0
            assert two.metric("apus_cache_hits_total", level="redis") == 300 and two.metric("apus_cache_misses_total", level="memory") == 300
        with sharing(redis.port, "wrong") as server:
            apus.eventually(lambda: "WRONGPASS" in server.output(), server=server)
            assert cache(server.embed("still served")) == (0, 1) and "open" not in server.output().split("WRONGPASS")[0][-200:]


@needs_redis
@needs_redis
def test_a_server_tells_all_devices_of_another_servers_group(tmp_path):
    with Redis(tmp_path) as redis:
        arguments = dict(cache=True, env={"APUS_CACHE_REDIS_URL": f"redis://127.0.0.1:{redis.port}/0"})
        with apus.Server("--precision", "fp32", "--devices", "cpu:2", "--tensor-parallel", "2", **arguments) as group:
            used(group)
            assert group.embed("from afar").headers["x-apus-device"] == "cpu:0,cpu:1"
            apus.eventually(lambda: group.metric("apus_cache_writes_total", level="redis") >= 1, server=group)
        with apus.Server("--precision", "fp32", "--devices", "cpu:2", "--pipeline-parallel", "2", **arguments) as other:
            used(other)
            reply = other.embed("from afar")
            assert cache(reply) == (1, 0) and reply.headers["x-apus-device"] == "cpu:0,cpu:1"


def test_a_redis_that_dies_stands_still_or_holds_other_things_costs_no_request(tmp_path):
    with Redis(tmp_path) as redis, sharing(redis.port, APUS_CACHE_ENTRIES="1") as server:
        used(server)
        asked = 0

        def ask(count=20):
            nonlocal asked
            for _ in range(count):
                asked += 1
                assert server.embed(f"question {asked}").status == 200

        ask()
        apus.eventually(lambda: len(redis.keys()) == 20)
        # Other things under our keys.
        for key in redis.keys():
            redis.ask(b"DEL", key)
            redis.ask(b"LPUSH", key, b"no vector")
        assert cache(server.embed("question 1")) == (0, 1)
        for key in redis.keys():
            redis.ask(b"DEL", key)
            redis.ask(b"SET", key, b"no vector either")
        assert cache(server.embed("question 2")) == (0, 1)
        assert server.metric("apus_cache_errors_total", level="redis", kind="corrupt") == 1
        # It stands still: three requests wait for it, each for as long as they may, and no more.
        redis.process.send_signal(signal.SIGSTOP)
        ask(50)
        used(server, False)
        assert server.metric("apus_cache_errors_total", level="redis", kind="failed") <= 5
        redis.process.send_signal(signal.SIGCONT)
        used(server)
        ask()
        # It dies while it is asked, and comes back empty.
        redis.kill()
        ask()
        used(server, False)
        redis.start()
        used(server)
        ask()
        apus.eventually(lambda: len(redis.keys()) > 0)
        assert server.process.poll() is None
        assert server.metric("apus_requests_total", route="/v1/embeddings", code="ok") == asked + 2


@needs_redis
def test_a_server_starts_and_serves_without_its_redis(tmp_path):
    port = apus.free_port()
    with sharing(port) as server:
        assert cache(server.embed("first")) == (0, 1)
        apus.eventually(lambda: "is not used" in server.output(), server=server)
        (store,) = server.get("/v1/devices").json["cache"]["stores"]
        assert store["level"] == "redis" and not store["available"] and "cannot be reached" in store["trouble"]


@pytest.mark.parametrize("url", ("rediss://127.0.0.1", "http://127.0.0.1", "redis://127.0.0.1/x"))
def test_an_address_that_cannot_be_meant_is_refused_at_start(url):
    result = apus.run("serve", "--port", apus.free_port(), timeout=60, APUS_CACHE_REDIS_URL=url)
    assert result.returncode == 78 and "shared cache" in result.stderr, result.stderr
