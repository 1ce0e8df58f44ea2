"""What a load consists of: requests whose right answers are known, classes of traffic, and an entry of the books for each request."""
import dataclasses
import random

import numpy as np

from harness import texts

from ledger import TOLERANCE, Groups


class Requests(Groups):
    """Requests of `size` of these lines each, without those that come twice."""

    def __init__(self, lines, size, precision=None):
        super().__init__(list(dict.fromkeys(lines)), size, precision)

    @classmethod
    def of(cls, corpus, count, size, first=0, precision=None):
        """From so many lines of a corpus; right vectors are those of `precision`."""
        return cls(texts(corpus, first + count)[first:], size, precision)

    def right(self, group, body):
        """Whether a 200's body holds the right vectors, in order."""
        try:
            vectors = self.answered(group, body)
        except (ValueError, KeyError, TypeError):
            return False
        return vectors is not None and bool(np.abs(vectors - self.expected(group)).max() <= TOLERANCE)


@dataclasses.dataclass
class Traffic:
    """One class of requests: open-loop by `phases`, pairs of seconds and requests a second, or closed-loop by `clients`."""
    name: str
    requests: Requests
    phases: tuple = ()
    clients: int = 0
    priority: str | None = None
    deadline: float | None = None
    """Seconds from when a request is due; sent as x-apus-timeout-ms, and what is answered later is not counted as good."""
    key: str | None = None
    provenance: bool = False
    limit: int | None = None
    """Requests in all; the load is over when they are answered."""

    def __post_init__(self):
        headers = {"x-apus-priority": self.priority, "x-apus-timeout-ms": self.deadline and round(1e3 * self.deadline),
                   "Authorization": self.key and f"Bearer {self.key}", "x-apus-provenance": 1 if self.provenance else None}
        extra = "".join(f"{name}: {value}\r\n" for name, value in headers.items() if value is not None)
        # Everything up to the request's id, which goes last.
        self.heads = [(f"POST /v1/embeddings HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n{extra}"
                       f"Content-Length: {len(body)}\r\nx-request-id: ").encode() for body in self.requests.bodies]
        self.turn = self.sent = 0

    @property
    def seconds(self):
        return sum(seconds for seconds, _ in self.phases)

    def arrivals(self, seed):
        """When requests are due, in seconds from the start."""
        chance, start, due = random.Random(f"{seed} {self.name}"), 0.0, []
        for seconds, rate in self.phases:
            when = start + chance.expovariate(rate) if rate else start + seconds
            while when < start + seconds:
                due.append(when)
                when += chance.expovariate(rate)
            start += seconds
        return due


@dataclasses.dataclass(slots=True)
class Entry:
    """One request. Times are of the monotonic clock."""
    number: int
    traffic: Traffic
    group: int
    due: float
    sent: float | None = None
    """When its first bytes were handed to the system; None when they never were."""
    ended: float | None = None
    answers: int = 0
    status: int | None = None
    retry_after: str | None = None
    body: bytes | None = None
    right: bool = False
    code: str | None = None
    trouble: str | None = None

    @property
    def latency(self):
        return self.ended - self.due

    @property
    def good(self):
        return self.right and (self.traffic.deadline is None or self.latency <= self.traffic.deadline)
