"""A server under test with settings of its own, written to a configuration file beside its log; and what is read off it while it works."""
import argparse
import contextlib
import json
import os
import pathlib
import tempfile
import threading
import time

from harness import Server

MEBIBYTE = 1 << 20


def parse_setting(text):
    """A setting of the command line, `batching.max_queue_seconds=0.5`, as a pair of its key and its value."""
    key, separator, value = text.partition("=")
    if not separator or not key:
        raise argparse.ArgumentTypeError(f"{text!r} is not KEY=VALUE")
    try:
        return key, json.loads(value)
    except ValueError:
        return key, value


def add_server_arguments(parser):
    """What every program lets its caller say of the servers it starts."""
    parser.add_argument("--devices", help="LIST for apus serve; its own choice when absent")
    parser.add_argument("--set", dest="settings", metavar="KEY=VALUE", type=parse_setting, action="append", default=[],
                        help="a setting for every server, such as batching.token_budget=512")


def server_arguments(arguments):
    return ["--devices", arguments.devices] if arguments.devices else []


def asked_precision(arguments):
    """The precision that `--set precision=…` asks of the servers, whose right vectors then are of it too; None for their own choice."""
    return dict(arguments.settings).get("precision")


def yaml(settings):
    """Dotted keys as nested YAML sections. Values are JSON, which is YAML."""
    tree = {}
    for key, value in settings.items():
        *sections, name = key.split(".")
        place = tree
        for section in sections:
            place = place.setdefault(section, {})
        place[name] = value

    def lines(node, indent):
        for name, value in node.items():
            if isinstance(value, dict):
                yield f"{indent}{name}:"
                yield from lines(value, indent + "  ")
            else:
                yield f"{indent}{name}: {json.dumps(value)}"
    return "\n".join(lines(tree, "")) + "\n"


class ConfiguredServer(Server):
    """`apus serve` with `settings`, a dictionary of dotted keys; None leaves a setting to Apus. Asked with `key` where keys are configured."""

    def __init__(self, settings, *arguments, key=None):
        self.key = key
        chosen = {key: value for key, value in settings.items() if value is not None}
        with contextlib.ExitStack() as stack:
            if chosen:
                # It is read before the server is ready, and Server waits for that.
                folder = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="apus-bench-")))
                path = folder / "apus.yaml"
                path.write_text(yaml(chosen))
                arguments = ("--config", path, *arguments)
            super().__init__(*arguments)

    def request(self, method, path, body=None, headers=None, timeout=120):
        authorization = {"Authorization": f"Bearer {self.key}"} if self.key else {}
        return super().request(method, path, body, {**authorization, **(headers or {})}, timeout)

    def scrape(self):
        return Samples(self.get("/metrics").body.decode())


class Samples:
    """The values of one look at /metrics."""

    def __init__(self, text):
        self.rows = []
        for line in text.splitlines():
            if line and not line.startswith("#"):
                head, _, value = line.rpartition(" ")
                name, _, labels = head.partition("{")
                self.rows.append((name, labels, float(value)))

    def sum(self, name, **labels):
        return sum(value for row, text, value in self.rows
                   if row == name and all(f'{label}="{wanted}"' in text for label, wanted in labels.items()))

    def max(self, name):
        """The largest value; None when there is none."""
        return max((value for row, _, value in self.rows if row == name), default=None)


def mean_between(before, after, histogram):
    """The mean of what a histogram recorded between two looks; None when that is nothing."""
    count = after.sum(f"{histogram}_count") - before.sum(f"{histogram}_count")
    return (after.sum(f"{histogram}_sum") - before.sum(f"{histogram}_sum")) / count if count > 0 else None


def padding_between(before, after):
    """Padding as a share of all computed tokens between two looks."""
    padding, tokens = (after.sum(name) - before.sum(name) for name in ("apus_padding_tokens_total", "apus_tokens_total"))
    return padding / (padding + tokens) if padding + tokens else None


class Watch:
    """Looks at a server's memory and metrics while it works, from a thread that leaves the reading of what it saw for later.

    Resident memory counts what is shared between the processes once for each; Pss counts it once in all, and takes longer to ask for.
    """

    def __init__(self, server, every=0.5, metrics=True):
        self.server, self.every, self.metrics = server, every, metrics
        self.memory, self.pss, self.looks = [], [], []
        self.page = os.sysconf("SC_PAGE_SIZE")
        self.over = threading.Event()
        self.thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()

    def _watch(self):
        processes, number, due = self.server.processes(), 0, time.monotonic()
        while not self.over.wait(max(0.0, due - time.monotonic())):
            now = time.monotonic()
            try:
                pages = sum(int(pathlib.Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in processes)
                self.memory.append((now, pages * self.page))
                if number % 4 == 0:
                    self.pss.append((now, self.server.pss_bytes()))
            except OSError:  # a worker was replaced
                processes = self.server.processes()
            if self.metrics:
                with contextlib.suppress(OSError):
                    self.looks.append((now, self.server.get("/metrics", timeout=10).body.decode()))
            number += 1
            due += self.every

    def samples(self):
        """Pairs of a time and what /metrics said then."""
        return [(when, Samples(text)) for when, text in self.looks]

    def growth(self, begin, end):
        """Bytes by which the median of resident memory in the last third of a span is above that in its first third."""
        seen = [size for when, size in self.memory if begin <= when < end]
        third = len(seen) // 3
        if third == 0:
            return None
        return sorted(seen[-third:])[third // 2] - sorted(seen[:third])[third // 2]
