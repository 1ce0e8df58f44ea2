"""The real binary under test: how it is found, started, asked and stopped. Standard library only, so that what goes over
the wire is exactly what a test wrote."""
import contextlib
import http.client
import json
import os
import pathlib
import signal
import socket
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY = pathlib.Path(os.environ.get("APUS_BINARY", ROOT / ".build/release/apus"))
DEFAULT_MODEL = "all-MiniLM-L6-v2"
MODEL_DIRECTORY = ROOT / ".apus/models" / DEFAULT_MODEL
TINY = ROOT / "Tests/Fixtures/tiny"
MINILM = ROOT / "Tests/Fixtures/minilm"
JSON_HEADERS = {"Content-Type": "application/json"}


def environment(**changes):
    """The caller's environment without settings that would steer Apus, plus `changes`."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("APUS_")}
    return kept | changes


def run(*arguments, stdin=None, timeout=120, binary=BINARY, cwd=None, **env):
    """Runs `apus` to its end. Text streams; the exit status is in `returncode`."""
    with tempfile.TemporaryDirectory() as folder:
        return subprocess.run([str(binary), *map(str, arguments)], input=stdin, capture_output=True, text=True, encoding="utf-8",
                              timeout=timeout, cwd=cwd or folder, env=environment(**env),
                              **({} if stdin is not None else {"stdin": subprocess.DEVNULL}))


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Reply:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def error(self):
        return self.json["error"]

    def __repr__(self):
        return f"<{self.status} {self.body[:300]!r}>"


def eventually(condition, seconds=60, server=None, pause=0.05):
    """Waits until something is so. The limit is for what never comes: a busy machine takes its time."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not so after {seconds} s\n{server.output() if server else ''}"
        time.sleep(pause)


class Server:
    """`apus serve` on a free port; use it with `with`. It remembers no texts unless `cache` says so: most tests and all benchmarks are about
    what it computes, and ask for the same texts again and again."""

    def __init__(self, *arguments, ready=True, env=None, own_group=False, cache=False):
        self.port = free_port()
        self.folder = tempfile.TemporaryDirectory()
        self.log_path = pathlib.Path(self.folder.name, "log")
        self.log = open(self.log_path, "wb")
        self.started = time.monotonic()
        self.process = subprocess.Popen(
            [str(BINARY), "serve", "--host", "127.0.0.1", "--port", str(self.port), *map(str, arguments)],
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=subprocess.STDOUT, cwd=self.folder.name,
            env=environment(**({} if cache else {"APUS_CACHE": "false"}), **(env or {})), start_new_session=own_group)
        self.until_ready = None
        if ready:
            try:
                self.wait_until_ready()
            except BaseException:
                self.close()
                raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def wait_until_ready(self, seconds=120):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise AssertionError(f"apus serve ended with {self.process.returncode}:\n{self.output()}")
            with contextlib.suppress(OSError, http.client.HTTPException):
                if self.get("/health/ready").status == 200:
                    self.until_ready = time.monotonic() - self.started
                    return
            time.sleep(0.02)
        raise AssertionError(f"not ready after {seconds} s:\n{self.output()}")

    def output(self):
        return self.log_path.read_text(encoding="utf-8", errors="replace")

    @property
    def base(self):
        return f"http://127.0.0.1:{self.port}"

    def connection(self, timeout=120):
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)

    def request(self, method, path, body=None, headers=None, timeout=120):
        connection = self.connection(timeout)
        try:
            connection.request(method, path, body, headers or {})
            response = connection.getresponse()
            return Reply(response.status, response.headers, response.read())
        finally:
            connection.close()

    def get(self, path, **more):
        return self.request("GET", path, **more)

    def post(self, path, body, headers=None, **more):
        data = body if isinstance(body, (bytes, bytearray)) else json.dumps(body, ensure_ascii=False).encode()
        return self.request("POST", path, data, {**JSON_HEADERS, **(headers or {})}, **more)

    def embed(self, inputs, model=DEFAULT_MODEL, headers=None, **fields):
        return self.post("/v1/embeddings", {"model": model, "input": inputs, **fields}, headers)

    def raw(self, data, timeout=15, half_close=False):
        """Sends bytes as they are and returns all that comes back until the server closes or falls silent."""
        received = b""
        with socket.create_connection(("127.0.0.1", self.port), timeout=timeout) as connection:
            with contextlib.suppress(OSError):  # a server may refuse and close before it has read everything
                connection.sendall(data)
                if half_close:
                    connection.shutdown(socket.SHUT_WR)
            with contextlib.suppress(OSError):
                while block := connection.recv(1 << 16):
                    received += block
        return received

    def signal_and_wait(self, number=signal.SIGTERM, seconds=60):
        self.process.send_signal(number)
        return self.process.wait(seconds)

    def processes(self):
        """This server's process ids: the front and whatever it started."""
        found, pending = [], [self.process.pid]
        while pending:
            pid = pending.pop()
            found.append(pid)
            for task in pathlib.Path(f"/proc/{pid}/task").glob("*/children"):
                with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # a thread may end meanwhile
                    pending += [int(child) for child in task.read_text().split()]
        return found

    def workers(self):
        """The process ids of its workers, the oldest first."""
        found = []
        for pid in self.processes()[1:]:
            with contextlib.suppress(OSError):  # it may have ended since
                command = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
                # The 22nd field is the start time; the second may hold spaces and ends with the last parenthesis.
                started = int(pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
                if b"worker" in command and b"--monitor" not in command:
                    found.append((started, pid))
        return [pid for _, pid in sorted(found)]

    def metric(self, name, **labels):
        """The sum of a metric's samples that have `labels`."""
        total = 0.0
        for line in self.get("/metrics").body.decode().splitlines():
            head, _, value = line.rpartition(" ")
            if head.partition("{")[0] == name and all(f'{label}="{text}"' in head for label, text in labels.items()):
                total += float(value)
        return total

    def pss_bytes(self):
        """Proportional set size of all its processes (Linux). Pages of files count less while other processes map them, too."""
        return self._rollup("Pss")

    def own_bytes(self):
        """What its processes hold that is in no file (Linux): other processes that run the same program or model make no difference."""
        return self._rollup("Pss_Anon", "Pss_Shmem")

    def _rollup(self, *names):
        total = 0
        for pid in self.processes():
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it may have ended since
                for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]:
                    name, _, value = line.partition(":")
                    if name in names:
                        total += int(value.split()[0]) * 1024
        return total

    def close(self):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(40)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.log.close()
        self.folder.cleanup()


def precision(server):
    """What the server's one model says it runs in; without a flag whatever is fastest on this machine and as good as fp32."""
    (model,) = server.get("/v1/models").json["data"]
    assert model["precision"] in ("fp32", "bf16") and model["cosine_to_fp32"] >= 0.9999, model
    return model["precision"]


def vectors(reply):
    """The embeddings of a 200 answer as an array, rows in request order."""
    import numpy as np
    assert reply.status == 200, reply
    data = reply.json["data"]
    assert [row["index"] for row in data] == list(range(len(data)))
    return np.array([row["embedding"] for row in data], np.float32)


def agreement(actual, expected):
    """(lowest cosine, largest absolute difference) of two arrays of vectors, in double precision."""
    import numpy as np
    a, b = np.asarray(actual, np.float64), np.asarray(expected, np.float64)
    assert a.shape == b.shape, f"{a.shape} is not {b.shape}"
    cosine = (a * b).sum(-1) / (np.linalg.norm(a, axis=-1) * np.linalg.norm(b, axis=-1))
    return float(cosine.min()), float(np.abs(a - b).max())
