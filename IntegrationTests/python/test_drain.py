"""SIGTERM: what was accepted is answered, what comes later is refused, and the process ends with status 0."""
import http.client
import itertools
import json
import signal
import socket
import threading
import time

import apus

COUNT = 16


def texts(request):
    """No two alike: what is alike is computed once, and would leave nothing in flight."""
    return [f"Text {number} of request {request}: " + "the server batches requests and answers them in order. " * 12 for number in range(COUNT)]


def test_a_drain_under_load_loses_no_accepted_request():
    with apus.Server() as server:
        answers, stop, numbers = [], threading.Event(), itertools.count()
        lock = threading.Lock()

        def client():
            while not stop.is_set():
                entry = {"connected": None, "status": None, "error": None, "rows": 0}
                try:
                    connection = server.connection(timeout=60)
                    connection.connect()
                    entry["connected"] = time.monotonic()
                    connection.request("POST", "/v1/embeddings", json.dumps({"model": apus.DEFAULT_MODEL, "input": texts(next(numbers))}),
                                       {**apus.JSON_HEADERS, "Connection": "close"})
                    response = connection.getresponse()
                    document = json.loads(response.read())
                    entry["status"] = response.status
                    entry["rows"] = len(document.get("data", []))
                    entry["code"] = document.get("error", {}).get("code")
                    connection.close()
                except (OSError, http.client.HTTPException, ValueError) as error:
                    entry["error"] = repr(error)
                entry["ended"] = time.monotonic()
                with lock:
                    answers.append(entry)
                if entry["status"] != 200:
                    return

        threads = [threading.Thread(target=client) for _ in range(8)]
        for thread in threads:
            thread.start()
        while sum(entry["status"] == 200 for entry in list(answers)) < 8 and server.process.poll() is None:
            time.sleep(0.05)
        signalled = time.monotonic()
        status = server.signal_and_wait(signal.SIGTERM, seconds=60)
        stop.set()
        for thread in threads:
            thread.join()

        assert status == 0, server.output()
        # The kernel takes connections for a server that has no time at this moment; those it has not seen at the signal are not accepted.
        seen = signalled - 0.5
        assert any(entry["status"] == 200 and entry["connected"] < signalled < entry["ended"] for entry in answers), "none in flight at the signal"
        before = [entry for entry in answers if entry["connected"] and entry["connected"] < seen]
        assert before
        for entry in before:
            assert entry["status"] == 200 and entry["rows"] == COUNT, entry
        for entry in answers:
            if entry["status"] is not None:
                assert entry["status"] == 200 or (entry["status"], entry["code"]) == (503, "shutting_down"), entry
            else:
                assert entry["connected"] is None or entry["connected"] >= seen, entry


def test_an_idle_server_ends_at_once_on_sigterm_and_sigint():
    for number in (signal.SIGTERM, signal.SIGINT):
        with apus.Server() as server:
            idle = socket.create_connection(("127.0.0.1", server.port))
            server.get("/health/live")
            began = time.monotonic()
            assert server.signal_and_wait(number, seconds=30) == 0, server.output()
            assert time.monotonic() - began < 10
            idle.close()


def test_the_port_is_free_after_the_end():
    with apus.Server() as server:
        assert server.signal_and_wait() == 0
        with socket.socket() as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(("127.0.0.1", server.port))
