"""An open-loop load generator with a ledger: several classes of traffic at once, each at its own rate, and what became of every request.

A request's time of arrival is drawn before the load begins (Poisson, from a seed) and its latency counts from then, so that neither a server
that stalls nor a generator that is late can make the server look well. How late requests were sent is measured and said. Requests are
prepared beforehand, answers are kept as they came and read when the load is over: server and generator share the machine.
"""
import collections
import contextlib
import gc
import heapq
import itertools
import json
import os
import random
import select
import time

from harness import percentile

import keep_alive
from traffic import Entry, Traffic

# A client that was refused in a closed loop waits this long: it shall load the server with work, not with refusals.
BACK_OFF = 0.05
# Sends this late at the 99th percentile are the generator's fault, and its measurements no longer the server's.
LATE_SECONDS = 0.02


class OpenLoop(keep_alive.Connections):
    """Sends traffic to a server on this machine from one thread, and keeps the books."""

    def __init__(self, port, *traffic, seed=5, connections=900, pause=0.0):
        """`pause`: seconds from one look at what is due and what came to the next, for rates at which a look for each would take the processor
        from the server; times of arrival stay what they are, and what the pause adds to latencies is counted."""
        names = [kind.name for kind in traffic]
        if len(set(names)) != len(names):
            raise ValueError(f"two classes of one name: {names}")
        for kind in traffic:
            if kind.clients >= len(kind.requests):
                raise ValueError(f"{kind.name}: {kind.clients} clients, but {len(kind.requests)} requests: those in flight must not share texts")
        super().__init__(port, connections)
        self.traffic, self.seed, self.pause = traffic, seed, pause
        self.prefix = f"{random.Random().getrandbits(40):010x}-"
        self.entries = []
        self.waiting = collections.deque()
        self.plan, self.place, self.next_due = [], 0, float("inf")
        self.resume, self.tickets = [], itertools.count()
        self.began = self.ended = None
        self.cpu_seconds = 0.0
        self.most_in_flight = 0
        self.closing = False

    def run(self, seconds=None, settle=60.0):
        """All traffic for `seconds`, or as long as its phases last; then waits up to `settle` seconds for what is out, and reads the answers."""
        seconds = seconds or max(kind.seconds for kind in self.traffic)
        plan = sorted((due, place) for place, kind in enumerate(self.traffic) for due in kind.arrivals(self.seed) if due < seconds)
        with _ahead_of_others():
            cpu, self.began = time.thread_time(), time.monotonic()
            self.ended = self.began + seconds
            self.plan, self.place = [(self.began + due, self.traffic[place]) for due, place in plan], 0
            self.next_due = self.plan[0][0] if self.plan else float("inf")
            for kind in self.traffic:
                for _ in range(kind.clients):
                    self._arrive(kind, self.began)
            while (now := time.monotonic()) < self.ended and not self._is_done():
                self._turn(min(self.next_due, self.ended, self.resume[0][0] if self.resume else now + 0.1))
            self.closing, self.ended = True, min(self.ended, now)
            limit = time.monotonic() + settle
            while (self.busy or self.waiting) and time.monotonic() < limit:
                self._turn(time.monotonic() + 0.05)
            self.cpu_seconds = time.thread_time() - cpu
            # A second answer would come after the first.
            limit = time.monotonic() + 0.2
            while time.monotonic() < limit:
                self._turn(time.monotonic() + 0.05)
        self.close()
        self._read_answers()
        return self

    def _is_done(self):
        """Whether every class has a limit and all its answers."""
        return not self.busy and not self.waiting and not self.resume and all(kind.limit is not None and kind.sent >= kind.limit for kind in self.traffic)

    # Sending.

    def _arrive(self, kind, due):
        if kind.limit is not None and kind.sent >= kind.limit:
            return
        kind.sent += 1
        entry = Entry(len(self.entries), kind, kind.turn, due)
        kind.turn = (kind.turn + 1) % len(kind.requests)
        self.entries.append(entry)
        if self.has_room():
            self._send(entry)
        else:
            self.waiting.append(entry)

    def _send(self, entry):
        kind = entry.traffic
        request = b"".join((kind.heads[entry.group], f"{self.prefix}{entry.number}\r\n\r\n".encode(), kind.requests.bodies[entry.group]))
        self.most_in_flight = max(self.most_in_flight, self.busy + 1 + len(self.waiting))
        entry.sent = time.monotonic()
        self.send(request, entry)

    def _send_due(self):
        now = time.monotonic()
        while self.next_due <= now:
            due, kind = self.plan[self.place]
            self.place += 1
            self.next_due = self.plan[self.place][0] if self.place < len(self.plan) else float("inf")
            self._arrive(kind, due)
        while self.resume and self.resume[0][0] <= now:
            _, _, kind = heapq.heappop(self.resume)
            if not self.closing:
                self._arrive(kind, now)

    def _turn(self, until):
        if self.pause:
            time.sleep(self.pause)
            until = 0.0
        self._send_due()
        # Selectors wait whole milliseconds where select waits microseconds, and their own descriptor can be waited for.
        ready, _, _ = select.select([self.selector.fileno()], [], [], max(0.0, until - time.monotonic()))
        for key, events in self.selector.select(0) if ready else ():
            self.ready(key.data, events)
            if self.next_due <= time.monotonic():
                self._send_due()
        for _ in range(len(self.waiting)):
            if not self.has_room():
                break
            self._send(self.waiting.popleft())

    # Receiving.

    def answered(self, connection, head, body):
        """Books an answer by the id that it bears, which is the one asked for unless something is wrong; then the connection is of no more use."""
        entry, bears = connection.entry, keep_alive.text(head, b"x-request-id") or ""
        if entry is None or bears != f"{self.prefix}{entry.number}":
            self.strays.append(f"an answer for {bears!r} where {entry and entry.number} was awaited")
            number = bears.removeprefix(self.prefix)
            if bears.startswith(self.prefix) and number.isdigit() and int(number) < len(self.entries):
                self.entries[int(number)].answers += 1
            self.drop(connection, "it answered another")
            return False
        entry.answers += 1
        now = time.monotonic()
        entry.ended, entry.status, entry.body = now, keep_alive.status(head), body
        if entry.status != 200:
            entry.retry_after = keep_alive.text(head, b"retry-after")
        self.freed(connection)
        is_open = keep_alive.field(head, b"connection") != b"close"
        if is_open:
            self.idle.append(connection)
        else:
            self.drop(connection, "closed by the server")
        if entry.traffic.clients and not self.closing:
            if entry.status == 200:
                self._arrive(entry.traffic, now)
            else:
                heapq.heappush(self.resume, (now + BACK_OFF, next(self.tickets), entry.traffic))
        return is_open

    def broken(self, entry, trouble):
        entry.trouble = trouble
        if entry.traffic.clients and not self.closing:
            heapq.heappush(self.resume, (time.monotonic() + BACK_OFF, next(self.tickets), entry.traffic))

    def _read_answers(self):
        for entry in self.entries:
            if entry.status == 200:
                entry.right = entry.traffic.requests.right(entry.group, entry.body)
                if not entry.traffic.provenance:
                    entry.body = None
            elif entry.status is not None:
                with contextlib.suppress(ValueError, KeyError, TypeError):
                    entry.code = json.loads(entry.body)["error"]["code"]

    # What the books say.

    def of(self, kind, begin=None, end=None):
        """The requests of a class that were due in a span, both in seconds from the start."""
        low, high = self.began + (begin or 0), self.ended if end is None else self.began + end
        return [entry for entry in self.entries if (kind is None or entry.traffic is kind) and low <= entry.due < high]

    def rate(self, kind, begin, end, counts=lambda entry: entry.good):
        """Answers a second that came in a span and `counts` holds for: right and within the deadline, unless told otherwise."""
        low, high = self.began + begin, self.began + end
        return sum(1 for entry in self.entries
                   if (kind is None or entry.traffic is kind) and entry.ended is not None and low <= entry.ended < high and counts(entry)) / (end - begin)

    def figures(self, kind=None, begin=0.0, end=None):
        """What became of a class of requests (all when None) that were due in a span. Times in milliseconds from when they were due."""
        entries, end = self.of(kind, begin, end), self.ended - self.began if end is None else end
        refused = [entry for entry in entries if entry.answers and entry.status != 200]
        codes = collections.Counter(f"{entry.status} {entry.code}" for entry in refused)
        times, rejects = sorted(entry.latency for entry in entries if entry.right), sorted(entry.latency for entry in refused)
        late = sorted(entry.sent - entry.due for entry in entries if entry.sent is not None)
        return {"requests": len(entries), "offered_per_s": len(entries) / (end - begin), "good": sum(entry.good for entry in entries),
                "answered": sum(entry.status == 200 for entry in entries), "refused": dict(codes),
                "lost": sum(entry.answers == 0 for entry in entries), "twice": sum(entry.answers > 1 for entry in entries),
                "wrong": sum(entry.status == 200 and not entry.right for entry in entries),
                "goodput_per_s": self.rate(kind, begin, end), "answered_per_s": self.rate(kind, begin, end, lambda entry: entry.right),
                **_milliseconds(times), **{f"reject_{name}": value for name, value in _milliseconds(rejects).items()},
                **{f"late_{name}": value for name, value in _milliseconds(late).items()}}

    def by_second(self, kind=None, step=1.0):
        """Rows of seconds from the start, requests offered, answered right a second, and the p50 and p95 of those that were due in it."""
        rows, spans = [], int((self.ended - self.began) / step + 1e-9)
        due, ended = [[] for _ in range(spans)], [0] * spans
        for entry in self.entries:
            if kind is not None and entry.traffic is not kind:
                continue
            if (place := int((entry.due - self.began) / step)) < spans:
                due[place].append(entry)
            if entry.right and (place := int((entry.ended - self.began) / step)) < spans:
                ended[place] += 1
        for place in range(spans):
            times = [entry.latency for entry in due[place] if entry.right]
            rows.append({"second": place * step, "offered_per_s": len(due[place]) / step, "answered_per_s": ended[place] / step,
                         "p50_ms": 1e3 * percentile(times, 0.5) if times else None, "p95_ms": 1e3 * percentile(times, 0.95) if times else None})
        return rows

    @property
    def cpu_share(self):
        """Of one core, what the generator took."""
        return self.cpu_seconds / (self.ended - self.began)

    def complaints(self):
        """What nobody may find in the books, in words; empty when all is well."""
        found = []
        for what, wrong in {"never answered": lambda entry: entry.answers == 0, "answered twice": lambda entry: entry.answers > 1,
                            "wrong vectors": lambda entry: entry.status == 200 and not entry.right}.items():
            entries = [entry for entry in self.entries if wrong(entry)]
            if entries:
                first = entries[0]
                found.append(f"{len(entries)} {what}, the first {first.traffic.name} {first.number}: {first.trouble or first.status}")
        return found + [f"stray: {stray}" for stray in self.strays[:3]]

    def doubts(self):
        """Why these figures might not be the server's: what the generator itself did not manage, in words."""
        late = sorted(entry.sent - entry.due for entry in self.entries if entry.sent is not None and not entry.traffic.clients)
        if late and percentile(late, 0.99) > LATE_SECONDS:
            return [f"the generator fell behind: sends were {1e3 * percentile(late, 0.99):.0f} ms late at the 99th percentile, "
                    f"{1e3 * late[-1]:.0f} ms at worst; latencies count it"]
        return []


@contextlib.contextmanager
def _ahead_of_others():
    """Lets this thread run before the server's where that is allowed, and without pauses of its own: it is the clock of the measurement."""
    gc.disable()
    try:
        before = os.getpriority(os.PRIO_PROCESS, 0)
        os.setpriority(os.PRIO_PROCESS, 0, min(before, -10))
    except OSError:
        before = None
    try:
        yield
    finally:
        gc.enable()
        if before is not None:
            os.setpriority(os.PRIO_PROCESS, 0, before)


def _milliseconds(times):
    return {f"p{share}_ms": 1e3 * percentile(times, share / 100) if times else None for share in (50, 95, 99)} | {
        "max_ms": 1e3 * times[-1] if times else None}


def closed_loop(port, requests, clients, seconds, warm=0.25, **fields):
    """(texts answered right a second, the loop) with `clients` requests out all the time; the first `warm` share is not counted."""
    kind = Traffic("closed", requests, clients=clients, **fields)
    loop = OpenLoop(port, kind).run(seconds)
    return requests.size * loop.rate(kind, warm * seconds, seconds), loop


class FixedWork:
    """Every request once (or the first `count`) from `clients` in a closed loop: nothing that is in flight at the end is lost to the figure."""

    def __init__(self, port, requests, clients, count=None):
        kind = Traffic("fixed", requests, clients=clients, limit=count or len(requests))
        self.loop = OpenLoop(port, kind)
        self.loop.run(3600.0)
        answered = [entry for entry in self.loop.entries if entry.right]
        self.seconds = max(entry.ended for entry in answered) - self.loop.began if answered else float("inf")
        self.texts_per_second = requests.size * len(answered) / self.seconds
        self.cpu_share = self.loop.cpu_seconds / self.seconds
