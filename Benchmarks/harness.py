"""What the benchmark programs share: where things are, the corpora, one Apus pass, and a load generator that costs little."""
import json
import os
import pathlib
import selectors
import socket
import statistics
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "IntegrationTests/python"))

from apus import BINARY, DEFAULT_MODEL, MODEL_DIRECTORY, Server, environment  # noqa: E402,F401

SCRATCH = pathlib.Path(os.environ.get("APUS_BENCH_FOLDER", ROOT / ".apus/bench"))
CORPORA = pathlib.Path(os.environ.get("APUS_CORPORA", SCRATCH / "corpora"))
EMBED_BENCHMARK = BINARY.parent / "EmbedBenchmark"
# As many texts as the first measurements took: some seconds a pass on two cores.
COUNTS = {"short": 4000, "mixed": 600}
MAX_TOKENS, THREADS = 256, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def texts(corpus, count=None):
    """The first lines of a corpus."""
    path = CORPORA / f"{corpus}.txt"
    if not path.exists():
        sys.exit(f"{path} is missing; run: python3 Benchmarks/make_corpora.py {CORPORA}")
    # Split at line feeds alone: other line separators are part of a text.
    lines = path.read_text(encoding="utf-8").split("\n")
    return lines[:count or COUNTS[corpus]]


def text_file(corpus, count=None):
    """A file with the first lines of a corpus, for programs that read whole files."""
    count = count or COUNTS[corpus]
    path = SCRATCH / f"{corpus}-{count}.txt"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(texts(corpus, count)) + "\n", encoding="utf-8")
    return path


def json_lines(command, **options):
    """Runs a program that reports one JSON object a line; anything else it prints goes to standard error."""
    result = subprocess.run([str(part) for part in command], stdout=subprocess.PIPE, text=True, env=environment(), **options)
    if result.returncode:
        sys.exit(f"{command[0]} ended with status {result.returncode}")
    return [json.loads(line) for line in result.stdout.splitlines() if line.startswith("{")]


def apus_in_process(corpus, passes=1, precision="fp32", model=MODEL_DIRECTORY):
    """Texts per second of each pass of the library in its own process."""
    if not EMBED_BENCHMARK.exists():
        sys.exit(f"{EMBED_BENCHMARK} is missing; run: swift build -c release --product EmbedBenchmark")
    rows = json_lines([EMBED_BENCHMARK, "--model", model, "--file", text_file(corpus), "--passes", passes, "--precision", precision])
    return [row["texts_per_second"] for row in rows if "texts_per_second" in row]


def median(values):
    return statistics.median(values)


def percentile(values, share):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def embeddings_request(inputs, encoding="float", close=False, model=DEFAULT_MODEL):
    body = json.dumps({"model": model, "input": inputs, "encoding_format": encoding}, ensure_ascii=False).encode()
    head = (f"POST /v1/embeddings HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n" + ("Connection: close\r\n" if close else "") + "\r\n")
    return head.encode() + body


class Client:
    """One keep-alive connection that sends prepared bytes and reads just enough of the answers to know where they end."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.received, self.end, self.sent_at = bytearray(), None, 0.0

    def send(self, request):
        self.received, self.end = bytearray(), None
        self.sent_at = time.perf_counter()
        self.socket.sendall(request)

    def receive(self):
        """Reads once; True when the answer is whole. Any status but 200 ends the benchmark."""
        block = self.socket.recv(1 << 18)
        if not block:
            sys.exit("the server closed a connection in the middle of a benchmark")
        self.received += block
        if self.end is None:
            head_end = self.received.find(b"\r\n\r\n")
            if head_end < 0:
                return False
            head = bytes(self.received[:head_end]).lower()
            if not head.startswith(b"http/1.1 200"):
                sys.exit(f"the server answered {bytes(self.received[:300])!r}")
            length = next(int(line[15:]) for line in head.split(b"\r\n") if line.startswith(b"content-length:"))
            self.end = head_end + 4 + length
        return len(self.received) >= self.end


def fixed_work(port, requests, clients=16):
    """Sends every request once over `clients` keep-alive connections; (seconds, latencies) from first byte to last answer.

    A fixed amount of work, unlike a fixed time, loses nothing that is in flight at the end: with 32 long texts a request
    that is several seconds' worth.
    """
    selector, latencies, pending = selectors.DefaultSelector(), [], iter(requests)
    start = time.perf_counter()
    for _, request in zip(range(clients), pending):
        client = Client(port)
        selector.register(client.socket, selectors.EVENT_READ, client)
        client.send(request)
    while selector.get_map():
        for key, _ in selector.select():
            client = key.data
            if client.receive():
                latencies.append(time.perf_counter() - client.sent_at)
                request = next(pending, None)
                if request is None:
                    selector.unregister(client.socket)
                    client.socket.close()
                else:
                    client.send(request)
    return time.perf_counter() - start, latencies


def table(title, header, rows):
    cells = [header] + [[f"{cell:.3g}" if isinstance(cell, float) and abs(cell) < 1 else f"{cell:,.1f}" if isinstance(cell, float)
                         else str(cell) for cell in row] for row in rows]
    widths = [max(len(row[i]) for row in cells) for i in range(len(header))]
    print(f"\n{title}")
    for row in cells:
        print("  " + "  ".join(cell.ljust(width) if i == 0 else cell.rjust(width) for i, (cell, width) in enumerate(zip(row, widths))))
    sys.stdout.flush()


def report(name, result):
    """Keeps a benchmark's figures beside the others and prints them as one line of JSON."""
    SCRATCH.mkdir(parents=True, exist_ok=True)
    (SCRATCH / f"{name}.json").write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps({name: result}))
