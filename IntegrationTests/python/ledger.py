"""A client that keeps books: every request has an id and texts of its own, and the ledger says what became of each.

Right vectors are those that the library computes in its own process (`apus embed`) for the same texts. Arrivals are open-loop: a request's
latency counts from the moment it was due, so that a server that stalls cannot slow the client down and look well.
"""
import base64
import dataclasses
import heapq
import itertools
import json
import pathlib
import random
import tempfile
import time

import numpy as np

import apus
import keep_alive

# Vectors of one text in batches of another make-up differ by 3e-7 or so; those of two texts by far more than this.
TOLERANCE = 1e-4
SUBJECTS = ("A swift", "The old server", "Our neighbour", "A worker process", "The river", "Every engineer", "A grey heron", "The last train",
            "Somebody in the harbour", "The orchestra", "A letter from the south", "The bakery on the corner")
VERBS = ("follows", "remembers", "carries", "counts", "repairs", "overtakes", "describes", "forgets", "measures", "paints", "answers", "collects")
OBJECTS = ("the wind above the roofs", "a list of names", "the broken clock", "twelve empty boxes", "the road to the coast", "an unfinished song",
           "the price of bread", "a map of the city", "the first snow of the year", "two quiet machines", "a question about time",
           "the light of a distant ship")


class Groups:
    """Requests of `size` texts each, no text twice, with the vectors that the library computes for them in its own process."""

    def __init__(self, texts, size, precision=None):
        self.size = size
        self.groups = [texts[start:start + size] for start in range(0, len(texts) - size + 1, size)]
        self.vectors = in_process([text for group in self.groups for text in group], precision)
        self.bodies = [json.dumps({"model": apus.DEFAULT_MODEL, "input": group, "encoding_format": "base64"}, ensure_ascii=False).encode()
                       for group in self.groups]

    def __len__(self):
        return len(self.groups)

    def expected(self, group):
        return self.vectors[group * self.size:(group + 1) * self.size]

    def answered(self, group, body):
        """The vectors in a 200's body, as many as the group has texts and in their order, or None. Raises for a body of another form."""
        rows, expected = json.loads(body)["data"], self.expected(group)
        if [row["index"] for row in rows] != list(range(self.size)):
            return None
        vectors = np.frombuffer(b"".join(base64.b64decode(row["embedding"], validate=True) for row in rows), np.float32)
        return vectors.reshape(expected.shape) if vectors.size == expected.size else None


class Texts(Groups):
    """Groups of made-up sentences. Vectors are of `precision`, where none is named of what is fastest on this machine."""

    def __init__(self, count, size, seed=3, precision=None):
        chance = random.Random(seed)
        # Of several lengths, so that batches are padded.
        super().__init__([" and ".join(f"{chance.choice(SUBJECTS)} {chance.choice(VERBS)} {chance.choice(OBJECTS)}"
                                       for _ in range(chance.choice((1, 1, 1, 2, 3)))) + f", page {number}" for number in range(count)], size,
                         precision)
        apart = np.abs(self.vectors - np.roll(self.vectors, 1, axis=0)).max(axis=1).min()
        assert apart > 20 * TOLERANCE, f"texts whose vectors are {apart} apart cannot be told from one another"


def in_process(texts, precision=None):
    with tempfile.TemporaryDirectory() as folder:
        lines, array = pathlib.Path(folder, "texts"), pathlib.Path(folder, "vectors.npy")
        lines.write_text("\n".join(texts) + "\n", encoding="utf-8")
        result = apus.run("embed", "--file", lines, "--output", array, *(("--precision", precision) if precision else ()), timeout=600)
        assert result.returncode == 0, result.stderr
        return np.load(array)


@dataclasses.dataclass(slots=True)
class Entry:
    """One request. Times are of the monotonic clock."""
    id: str
    group: int
    due: float
    sent: float | None = None
    """When its last byte was handed to the system; None when it never was."""
    ended: float | None = None
    answers: int = 0
    status: int | None = None
    code: str | None = None
    devices: tuple = ()
    fallback: str | None = None
    retry_after: str | None = None
    difference: float | None = None
    """Of its vectors to the right ones, the largest; None without vectors of the right shape."""
    cosine: float | None = None
    trouble: str | None = None

    @property
    def latency(self):
        return self.ended - self.due

    @property
    def ok(self):
        return self.answers > 0 and self.status == 200

    @property
    def right(self):
        return self.ok and self.difference is not None and self.difference <= TOLERANCE and self.cosine >= 1 - TOLERANCE

    @property
    def lost(self):
        """The server had all of it and said nothing."""
        return self.sent is not None and self.answers == 0


class Ledger:
    """What became of all requests."""

    def __init__(self, strays):
        self.entries = {}
        self.strays = strays

    def books(self):
        entries = list(self.entries.values())
        answered = [entry for entry in entries if entry.ok]
        refused = {}
        for entry in entries:
            if entry.answers and not entry.ok:
                name = f"{entry.status} {entry.code}"
                refused[name] = refused.get(name, 0) + 1
        differences = [entry.difference for entry in answered if entry.difference is not None]
        return {"requests": len(entries), "answered": len(answered), "errors": refused,
                "not_sent": sum(entry.sent is None for entry in entries), "lost": sum(entry.lost for entry in entries),
                "twice": sum(entry.answers > 1 for entry in entries) + len(self.strays),
                "wrong": sum(not entry.right for entry in answered), "largest_difference": max(differences, default=None)}

    def complaints(self):
        """What nobody may find in it, in words; empty when all is well."""
        books, entries = self.books(), self.entries.values()
        found = [f"{kind}: {books[kind]}" for kind in ("lost", "twice", "wrong") if books[kind]]
        found += [f"lost: {entry}" for entry in itertools.islice((entry for entry in entries if entry.lost), 3)]
        found += [f"wrong: {entry}" for entry in itertools.islice((entry for entry in entries if entry.ok and not entry.right), 3)]
        return found + [f"stray: {stray}" for stray in self.strays[:3]]

    def latencies(self, keep=lambda entry: True):
        return [entry.latency for entry in self.entries.values() if entry.ok and keep(entry)]


class Load(keep_alive.Connections):
    """Sends requests to a server on this machine, over as many connections as it takes up to a limit, from one thread."""

    def __init__(self, port, texts, connections=96, headers=None, seed=5):
        assert connections < len(texts.groups), "requests in flight at the same time must not share texts"
        super().__init__(port, connections)
        self.texts = texts
        self.extra = "".join(f"{name}: {value}\r\n" for name, value in (headers or {}).items())
        self.chance = random.Random(seed)
        self.ledger = Ledger(self.strays)
        self.waiting = []
        self.numbers = itertools.count()
        self.prefix = f"{self.chance.getrandbits(32):08x}"
        self.began = self.cpu = None
        self.cpu_share = 0.0
        self.peak_in_flight = 0

    def open_loop(self, rate, seconds, events=(), settle=30, until=lambda: False):
        """Requests at `rate` a second, Poisson, for `seconds`; then waits up to `settle` seconds for what is out.

        `events` are pairs (seconds from the start, function without arguments), carried out by this thread and therefore to be short.
        """
        start = self._begin()
        due = start + self.chance.expovariate(rate)
        plan = [(start + offset, number, act) for number, (offset, act) in enumerate(events)]
        heapq.heapify(plan)
        while (now := time.monotonic()) < start + seconds and not until():
            while plan and plan[0][0] <= now:
                heapq.heappop(plan)[2]()
            while due <= now:
                self._arrive(due)
                due += self.chance.expovariate(rate)
            self._turn(max(0.0, min(due, plan[0][0] if plan else due, start + seconds) - time.monotonic()))
        self._settle(settle)
        return self.ledger

    def closed_loop(self, clients, seconds, settle=60, until=lambda: False):
        """`clients` requests are out all the time. Returns the ledger; see ``rate`` for what it says of the server."""
        start = self._begin()
        while time.monotonic() < start + seconds and not until():
            before = time.monotonic()
            while self.busy + len(self.waiting) < clients and self._arrive(time.monotonic()):
                pass
            self._turn(0.05)
            # A server that takes no connection is not asked as fast as this program can.
            if self.busy + len(self.waiting) < clients:
                time.sleep(max(0.0, before + 0.001 - time.monotonic()))
        self._settle(settle)
        return self.ledger

    def rate(self, begin, end):
        """Answers a second between two times."""
        return sum(entry.ok and begin <= entry.ended < end for entry in self.ledger.entries.values()) / (end - begin)

    def _begin(self):
        self.began, self.cpu = time.monotonic(), time.process_time()
        return self.began

    def _settle(self, seconds):
        deadline = time.monotonic() + seconds
        while (self.busy or self.waiting) and time.monotonic() < deadline:
            self._turn(0.05)
        # A second answer would come after the first.
        end = time.monotonic() + 0.3
        while time.monotonic() < end:
            self._turn(0.05)
        self.cpu_share = (time.process_time() - self.cpu) / (time.monotonic() - self.began)

    def _arrive(self, due):
        """A request is due: it is sent, or waits for a connection. False when the server takes no connection."""
        number = next(self.numbers)
        entry = Entry(f"{self.prefix}-{number}", number % len(self.texts.groups), due)
        self.ledger.entries[entry.id] = entry
        if self.has_room():
            self._send(entry)
        else:
            self.waiting.append(entry)
        return entry.trouble is None

    def _send(self, entry):
        body = self.texts.bodies[entry.group]
        self.send((f"POST /v1/embeddings HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                   f"x-request-id: {entry.id}\r\n{self.extra}Content-Length: {len(body)}\r\n\r\n").encode() + body, entry)
        self.peak_in_flight = max(self.peak_in_flight, self.busy)

    def written(self, entry):
        entry.sent = time.monotonic()

    def broken(self, entry, trouble):
        entry.trouble = trouble

    def _turn(self, timeout):
        for key, events in self.selector.select(timeout):
            self.ready(key.data, events)
        while self.waiting and self.has_room():
            self._send(self.waiting.pop(0))

    def answered(self, connection, head, body):
        """Books an answer by the id that it bears, which is the one asked for unless something is wrong."""
        number, name = keep_alive.status(head), keep_alive.text(head, b"x-request-id")
        awaited, entry = connection.entry, self.ledger.entries.get(name)
        if awaited is None or entry is not awaited:
            self.strays.append(f"{number} for {name} where {awaited and awaited.id} was awaited")
        if entry is not None:
            entry.answers += 1
        if awaited is not None:
            self.freed(connection)
            self.idle.append(connection)
            self._book(awaited, number, head, body)
        is_open = keep_alive.field(head, b"connection") != b"close"
        if not is_open:
            self.drop(connection, "closed by the server")
        return is_open

    def _book(self, entry, number, head, body):
        entry.ended, entry.status = time.monotonic(), number
        entry.devices = tuple(filter(None, (keep_alive.text(head, b"x-apus-device") or "").split(",")))
        entry.fallback, entry.retry_after = keep_alive.text(head, b"x-apus-fallback"), keep_alive.text(head, b"retry-after")
        if number == 200:
            self._check(entry, body)
        else:
            entry.code = json.loads(body)["error"]["code"]

    def _check(self, entry, body):
        vectors, expected = self.texts.answered(entry.group, body), self.texts.expected(entry.group)
        if vectors is None:
            return
        entry.difference = float(np.abs(vectors - expected).max())
        lengths = np.sqrt((vectors * vectors).sum(1) * (expected * expected).sum(1))
        entry.cosine = float(((vectors * expected).sum(1) / lengths).min())
