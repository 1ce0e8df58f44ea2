"""The load generator of the benchmarks, against a server that misbehaves on purpose: it keeps true books and does not wait for answers."""
import sys
import threading

import numpy as np
import pytest

import apus

sys.path.insert(0, str(apus.ROOT / "Benchmarks"))

import ledger  # noqa: E402
import open_loop  # noqa: E402
import traffic as traffics  # noqa: E402
from test_ledger import Misbehaving  # noqa: E402


@pytest.fixture
def requests(monkeypatch):
    generator = np.random.default_rng(1)
    monkeypatch.setattr(ledger, "in_process", lambda texts, precision: generator.standard_normal((len(texts), 384)).astype(np.float32))
    return traffics.Requests([f"text {number}" for number in range(400)], 2)


@pytest.mark.parametrize("how, found", [("right", None), ("lost", "lost"), ("twice", "twice"), ("wrong", "wrong"), ("short", "wrong"),
                                        ("misdirected", "lost"), ("refused", "refused")])
@pytest.mark.parametrize("is_open", [True, False])
def test_the_books_find_what_is_wrong(requests, how, found, is_open):
    server = Misbehaving(requests, how)
    if is_open:
        traffic = traffics.Traffic("test", requests, phases=((0.25, 100.0), (0.25, 300.0)))
    else:
        traffic = traffics.Traffic("test", requests, clients=6, limit=100)
    loop = open_loop.OpenLoop(server.port, traffic, connections=8).run(None if is_open else 20.0, settle=2)
    server.listener.close()
    figures = loop.figures(traffic)
    assert figures["requests"] == (len(traffic.arrivals(loop.seed)) if is_open else 100) > 50
    assert figures["answered"] >= figures["requests"] / 2
    suspicious = {kind: figures[kind] for kind in ("lost", "twice", "wrong", "refused") if figures[kind]}
    assert (found in suspicious) if found else not suspicious, suspicious
    assert bool(loop.complaints()) == (how not in ("right", "refused"))
    if how == "refused":
        assert set(figures["refused"]) == {"503 overloaded"}


def test_requests_are_sent_when_they_are_due_whatever_became_of_those_before(requests):
    class Reluctant(Misbehaving):
        """Answers nobody until so many have asked."""
        enough = threading.Event()

        def answer(self, *question):
            if self.count >= 30:
                self.enough.set()
            assert self.enough.wait(20)
            return super().answer(*question)

    server = Reluctant(requests, "right")
    traffic = traffics.Traffic("test", requests, phases=((0.5, 100.0),))
    loop = open_loop.OpenLoop(server.port, traffic).run()
    server.listener.close()
    assert loop.complaints() == [] and loop.figures(traffic)["answered"] > 30 and loop.most_in_flight >= 30
    # From when they were due, not from when they were sent.
    assert all(entry.latency >= entry.ended - entry.sent for entry in loop.entries)


def test_classes_bear_their_own_headers_and_arrivals_follow_their_phases(requests):
    plain = traffics.Traffic("plain", requests, phases=((10.0, 20.0), (5.0, 0.0), (10.0, 60.0)))
    dressed = traffics.Traffic("dressed", requests, phases=plain.phases, priority="low", deadline=0.25, key="secret", provenance=True)
    assert b"x-apus" not in plain.heads[0] and b"Authorization" not in plain.heads[0]
    for line in (b"x-apus-priority: low", b"x-apus-timeout-ms: 250", b"Authorization: Bearer secret", b"x-apus-provenance: 1"):
        assert b"\r\n" + line + b"\r\n" in dressed.heads[0]
    due = plain.arrivals(7)
    assert due == plain.arrivals(7) and due != plain.arrivals(8) and due != dressed.arrivals(7) and due == sorted(due)
    # Four standard deviations of a Poisson count.
    for (begin, end), mean in {(0, 10): 200, (10, 15): 0, (15, 25): 600}.items():
        assert abs(sum(begin <= when < end for when in due) - mean) <= 4 * mean ** 0.5


def test_a_late_answer_is_right_but_not_good(requests):
    traffic = traffics.Traffic("test", requests, deadline=0.5)
    entry = traffics.Entry(0, traffic, 0, due=10.0, ended=10.4, right=True)
    assert entry.good
    entry.ended = 10.6
    assert entry.right and not entry.good
