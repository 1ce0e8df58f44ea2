"""Workers that are killed, stopped, crash and hang under load: a ledger by id shows that no client notices.

The long versions are `Benchmarks/kill_workers.py` and `Benchmarks/drain.py`. Times are not judged here: this runs on machines that do other things.
"""
import contextlib
import os
import pathlib
import signal
import sys
import threading
import time

import numpy as np
import pytest

import apus
import ledger
from apus import eventually

sys.path.insert(0, str(apus.ROOT / "Benchmarks"))
import drain  # noqa: E402
import kill_workers  # noqa: E402

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="finds workers in /proc")


@pytest.fixture(scope="module")
def texts():
    return ledger.Texts(1024, 8)


def clean(books, server):
    """No complaint, and every request answered, except where a machine that others slow down made the server refuse."""
    assert not books.complaints(), f"{books.complaints()}\n{server.output()}"
    assert set(books.books()["errors"]) <= {"503 overloaded"}, f"{books.books()}\n{server.output()}"
    assert books.books()["answered"] > 0


def restarts(server, cause, **labels):
    return server.metric("apus_device_restarts_total", cause=cause, **labels)


def ended(pid):
    """Whether a process is gone, or only its name is left for whoever adopted it."""
    with contextlib.suppress(OSError):
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    return True


def descriptors(server):
    """Of the server's own process, by what they lead to; regions that it shares with workers, and sockets."""
    names = []
    for link in pathlib.Path(f"/proc/{server.process.pid}/fd").iterdir():
        with contextlib.suppress(OSError):
            names.append(os.readlink(link))
    return sum("apus-tensors" in name for name in names), sum(name.startswith("socket:") for name in names)


def loaded(server, texts, clients, seconds, until=lambda: False):
    """The ledger of a closed loop that runs until something is so, which is looked for a few times a second."""
    load, looked = ledger.Load(server.port, texts), time.monotonic()

    def over():
        nonlocal looked
        if time.monotonic() - looked < 0.25:
            return False
        looked = time.monotonic()
        return until()

    load.closed_loop(clients, seconds, until=over)
    load.close()
    return load.ledger


@contextlib.contextmanager
def started(work):
    """Runs `work` in a thread a second from now; its failure is the test's."""
    failures = []

    def run():
        time.sleep(1)
        try:
            work()
        except BaseException as failure:
            failures.append(failure)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        thread.join()
    assert not failures, failures


def test_thirty_seconds_of_killed_and_stopped_workers_lose_nothing(texts):
    with apus.Server("--devices", "cpu:2") as server:
        regions, sockets = descriptors(server)
        rate = min(60, kill_workers.peak(server, texts, seconds=3) / 2)
        load, outages = kill_workers.trial(server, texts, rate, 30, [(4, "kill"), (10, "kill"), (16, "kill"), (21, "stop")])
        clean(load.ledger, server)
        assert len(outages.outages) == 4 and len({outage.pid for outage in outages.outages}) == 4
        eventually(lambda: server.metric("apus_device_up") == 2, server=server)
        assert restarts(server, "killed") == 3 and restarts(server, "hung") >= 1, server.output()
        assert all(ended(outage.pid) for outage in outages.outages)
        # Nothing of a dead worker is kept.
        eventually(lambda: descriptors(server)[0] == regions and descriptors(server)[1] <= sockets + 2, server=server)
        assert {outage.device for outage in outages.outages} == {"cpu:0", "cpu:1"}
        assert server.metric("apus_expired_on_device_total") == server.metric("apus_quarantined_inputs_total") == 0
        assert server.signal_and_wait() == 0, server.output()


def test_requests_wait_for_the_only_worker_however_long_its_successor_takes(texts):
    with apus.Server("--devices", "cpu") as server:
        victim, load = server.workers()[0], ledger.Load(server.port, texts)

        def strike():
            os.kill(victim, signal.SIGKILL)
            while not (successors := set(server.workers()) - {victim}):
                time.sleep(0.002)
            # Longer than a device may be away before nobody waits for it who need not. Stopped too late it counts as hung and is replaced.
            with contextlib.suppress(ProcessLookupError):
                os.kill(min(successors), signal.SIGSTOP)
                time.sleep(4)
                os.kill(min(successors), signal.SIGCONT)

        with started(strike):
            load.open_loop(8, 6)
        load.close()
        clean(load.ledger, server)
        assert load.ledger.books()["errors"] == {}, load.ledger.books()
        eventually(lambda: restarts(server, "killed") == 1 and ended(victim), server=server)


def test_workers_killed_as_soon_as_they_start_count_against_nobody(texts):
    with apus.Server("--devices", "cpu") as server:
        load, killed = ledger.Load(server.port, texts), set()

        def strike():
            # More often than a device may fail on its own account.
            while len(killed) < 5:
                for pid in set(server.workers()) - killed:
                    os.kill(pid, signal.SIGKILL)
                    killed.add(pid)
                time.sleep(0.01)

        with started(strike):
            load.open_loop(8, 7)
        load.close()
        clean(load.ledger, server)
        assert load.ledger.books()["errors"] == {}, load.ledger.books()
        eventually(lambda: restarts(server, "killed") == 5, server=server)
        assert restarts(server, "spawn") == 0, server.output()


def test_all_workers_killed_at_once_under_load_lose_nothing(texts):
    with apus.Server("--devices", "cpu:2") as server:
        first = server.workers()
        assert len(first) == 2

        def strike():
            for pid in first:
                os.kill(pid, signal.SIGKILL)

        with started(strike):
            books = loaded(server, texts, 12, 60, lambda: restarts(server, "killed") == 2 and server.metric("apus_device_up") == 2)
        clean(books, server)
        assert server.metric("apus_replays_total", cause="worker_killed") > 0
        assert restarts(server, "killed") == 2 and not set(first) & set(server.workers())


def test_a_worker_killed_while_the_server_starts_is_started_again(texts):
    with apus.Server("--devices", "cpu:2", ready=False) as server:
        eventually(lambda: server.workers(), server=server)
        victim = server.workers()[0]
        os.kill(victim, signal.SIGKILL)
        server.wait_until_ready()
        eventually(lambda: server.metric("apus_device_up") == 2, server=server)
        _, difference = apus.agreement(apus.vectors(server.embed(texts.groups[0])), texts.expected(0))
        assert difference <= ledger.TOLERANCE
        assert victim not in server.workers()


@pytest.mark.parametrize("stopped", [False, True], ids=["running", "stopped"])
def test_no_worker_outlives_a_server_that_is_killed(texts, stopped):
    with apus.Server("--devices", "cpu:2") as server:
        workers = server.workers()
        assert len(workers) == 2
        if stopped:
            os.kill(workers[0], signal.SIGSTOP)
        with started(server.process.kill):
            loaded(server, texts, 4, 30, lambda: server.process.poll() is not None)
        eventually(lambda: all(ended(pid) for pid in workers))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
def test_a_signal_to_the_whole_group_drains_like_one_to_the_server(texts, number):
    figures, wrong = drain.drained(texts, number, True, 24, "cpu:2", before=1)
    assert not wrong, (figures, wrong)


@pytest.mark.parametrize("fault, cause", [("crash@20x1", "crashed"), ("sticky@20x1", "sticky"), ("hang@15x1", "hung")])
def test_a_device_that_ends_its_worker_is_replaced_and_nothing_is_lost(texts, fault, cause):
    with apus.Server("--devices", "cpu:2", "--chaos", f"cpu:0:{fault}") as server:
        books = loaded(server, texts, 6, 90, lambda: restarts(server, cause, device="cpu:0") and server.metric("apus_device_up") == 2)
        clean(books, server)
        assert restarts(server, cause, device="cpu:0") >= 1, server.output()
        assert server.metric("apus_replays_total") > 0 and server.metric("apus_quarantined_inputs_total") == 0
        assert server.metric("apus_inputs_total", device="cpu:1") > 0


def test_a_device_out_of_memory_halves_its_batches_and_answers(texts):
    with apus.Server("--devices", "cpu:2", "--chaos", "cpu:0:oom@10x3") as server:
        before = server.workers()
        books = loaded(server, texts, 6, 60, lambda: server.metric("apus_device_batches_total", device="cpu:0", outcome="out_of_memory") >= 3)
        clean(books, server)
        assert server.metric("apus_device_batches_total", device="cpu:0", outcome="out_of_memory") == 3
        assert server.metric("apus_replays_total", cause="out_of_memory") > 0
        assert server.workers() == before


def test_a_slow_device_answers_right(texts):
    with apus.Server("--devices", "cpu:2", "--chaos", "cpu:0:slow@5x10") as server:
        books = loaded(server, texts, 6, 60, lambda: server.metric("apus_device_batches_total", device="cpu:0", outcome="ok") >= 20)
        clean(books, server)
        assert server.metric("apus_device_batches_total", device="cpu:0", outcome="ok") >= 20
        assert not np.isnan([entry.difference for entry in books.entries.values() if entry.ok]).any()


def until(server, texts, condition, seconds=60):
    """Answers to one request after the other until one satisfies `condition`; all of them are right or refused."""
    deadline, seen = time.monotonic() + seconds, []
    while not seen or not condition(seen[-1]):
        assert time.monotonic() < deadline, f"{seen[-3:]}\n{server.output()}"
        group = len(seen) % len(texts.groups)
        seen.append(server.embed(texts.groups[group]))
        if seen[-1].status == 200:
            _, difference = apus.agreement(apus.vectors(seen[-1]), texts.expected(group))
            assert difference <= ledger.TOLERANCE
    return seen


def test_the_cpu_stands_in_for_lost_devices_and_every_answer_says_so(texts):
    with apus.Server("--devices", "sim:2", "--chaos", "sim:0:lost@10,sim:1:lost@20") as server:
        seen = until(server, texts, lambda reply: reply.headers["x-apus-device"] == "cpu:0")
        assert [reply.status for reply in seen] == [200] * len(seen)
        assert {"sim:0", "sim:1"} <= {name for reply in seen for name in reply.headers["x-apus-device"].split(",")}
        for reply in seen[:-1]:
            assert reply.headers["x-apus-fallback"] == "none" or "cpu:0" in reply.headers["x-apus-device"], reply.headers
        assert seen[-1].headers["x-apus-fallback"] == "permanent"
        ready = server.get("/health/ready")
        assert ready.status == 200 and ready.json["remedy"] == "cpu" and ready.json["capacity"] < 1
        assert {row["device"]: row["state"] for row in ready.json["models"]} == {"sim:0": "away", "sim:1": "away", "cpu:0": "ready"}
        assert server.metric("apus_fallback_inputs_total", stage="permanent") >= len(texts.groups[0])
        assert server.metric("apus_device_fallback_stage", device="sim:0") == server.metric("apus_device_fallback_stage", device="sim:1") == 2


def test_without_fallback_requests_are_refused_when_all_devices_are_lost(texts, tmp_path):
    configuration = tmp_path / "apus.yaml"
    configuration.write_text("devices:\n  fallback: fail\n")
    with apus.Server("--devices", "sim:2", "--chaos", "sim:0:lost@10,sim:1:lost@20", "--config", configuration) as server:
        seen = until(server, texts, lambda reply: reply.status != 200)
        assert seen[-1].status == 503 and seen[-1].error["code"] == "no_device", seen[-1]
        assert int(seen[-1].headers["retry-after"]) >= 1
        assert all("cpu" not in reply.headers["x-apus-device"] for reply in seen[:-1])
        assert server.get("/health/ready").status == 503
        assert server.embed("again").error["code"] == "no_device"


def test_what_is_overdue_reaches_no_device():
    texts = ledger.Texts(200, 1)
    with apus.Server("--devices", "cpu") as server:
        worker = server.workers()[0]
        load = ledger.Load(server.port, texts, headers={"x-apus-timeout-ms": 100})
        # Shorter than what counts as a hang: everything that comes meanwhile waits until it is too late.
        load.open_loop(60, 3, [(0.5, lambda: os.kill(worker, signal.SIGSTOP)), (1.5, lambda: os.kill(worker, signal.SIGCONT))])
        load.close()
        books = load.ledger.books()
        assert not load.ledger.complaints(), load.ledger.complaints()
        assert set(books["errors"]) == {"504 deadline_exceeded"}, books
        expired, computed = server.metric("apus_expired_inputs_total"), server.metric("apus_inputs_total")
        # An input that is not answered in time never reached a device or was computed too late; some are refused before they wait.
        assert expired > 20 and books["answered"] <= computed <= books["requests"] - expired, (expired, computed, books)
        assert 'apus_expired_on_device_total{model="all-MiniLM-L6-v2"} 0' in server.get("/metrics").body.decode()
