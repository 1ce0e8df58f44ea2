"""Collections in a PostgreSQL: several servers see the same, and one that is away disturbs nothing but collections."""
import contextlib
import getpass
import os
import pathlib
import signal
import subprocess

import pytest

import apus

FOLDERS = [*apus.ROOT.glob(".apus/test-tools/postgresql/usr/lib/postgresql/*/bin"), *pathlib.Path("/usr/lib/postgresql").glob("*/bin")]
PROGRAMS = next((folder for folder in FOLDERS if (folder / "initdb").exists() and (folder / "postgres").exists()), None)
pytestmark = pytest.mark.skipif(PROGRAMS is None, reason="there is no PostgreSQL server; run: scripts/setup-tests")

# PostgreSQL does not run as root.
AS_NOBODY = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"] if getpass.getuser() == "root" else []


class Postgres:
    def __init__(self, folder):
        self.folder, self.port = folder, apus.free_port()
        if AS_NOBODY:
            subprocess.run(["chown", "nobody", folder], check=True)
            for parent in [folder, *folder.parents][:-2]:
                with contextlib.suppress(PermissionError):
                    parent.chmod(parent.stat().st_mode | 0o011)
        self.run("initdb", "-D", folder / "data", "-U", "apus", "-A", "trust", "-E", "UTF8", "--no-sync", "--locale=C")
        self.start()

    def run(self, program, *arguments):
        subprocess.run([*AS_NOBODY, str(PROGRAMS / program), *map(str, arguments)], check=True, capture_output=True, cwd="/")

    def start(self):
        self.process = subprocess.Popen(
            [*AS_NOBODY, str(PROGRAMS / "postgres"), "-D", str(self.folder / "data"), "-p", str(self.port), "-c", "listen_addresses=127.0.0.1",
             "-c", "unix_socket_directories=", "-c", "fsync=off", "-c", "shared_buffers=32MB"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/")
        apus.eventually(lambda: subprocess.run(
            ["psql", "-q", "-c", "SELECT 1", self.url], capture_output=True).returncode == 0)

    @property
    def url(self):
        return f"postgres://apus@127.0.0.1:{self.port}/postgres"

    def processes(self):
        parent = self.process.pid
        return [parent, *map(int, pathlib.Path(f"/proc/{parent}/task/{parent}/children").read_text().split())]

    def kill(self):
        for process in self.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.kill()


def test_servers_share_collections_and_go_on_when_the_database_dies(tmp_path):
    with Postgres(tmp_path) as postgres, apus.Server("--data", postgres.url) as one, apus.Server("--data", postgres.url) as two:
        made = one.post("/v1/collections", {"name": "films", "model": apus.DEFAULT_MODEL})
        assert made.status in (200, 201), made
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
        indexed = apus.run("index", lines, "--into", "films", "--data", postgres.url)
        assert indexed.returncode == 0, indexed.stderr
        found = apus.run("search", "films", "danger in the sea", "-k", "1", "--data", postgres.url)
        assert found.returncode == 0 and "shark" in found.stdout, found
    away = apus.run("search", "films", "anything", "--data", postgres.url)
    assert away.returncode == 1 and "PostgreSQL" in away.stderr and "Traceback" not in away.stderr
