#!/usr/bin/env python3
"""Ends a loaded server by signal: what it had accepted is answered, and it is gone within the drain limit with status 0.

    drain.py [--rounds 3] [--clients 48] [--devices cpu:2]

Three ways: SIGTERM to the server, SIGTERM to its whole process group (as systemd does: the workers get it too and must not go before the
server has drained) and SIGINT to the group (as a terminal does). A closed loop of clients keeps a queue; a ledger says what became of every
request. Exit status 1 when a request that the server had before the signal was not answered with its vectors.
"""
import argparse
import os
import signal
import sys
import time

from harness import Server, report, table

from ledger import Load, Texts

LIMIT_SECONDS = 30.0
# What was sent this long before the signal has been read by the server.
CLEAR = 0.1
WAYS = {"SIGTERM to the server": (signal.SIGTERM, False), "SIGTERM to the group": (signal.SIGTERM, True), "SIGINT to the group": (signal.SIGINT, True)}


def drained(texts, number, group, clients, devices, before=2.0):
    """Figures of one end under load, and what is wrong with it in words."""
    with Server("--devices", devices, own_group=True) as server:
        load, signalled, gone = Load(server.port, texts), None, None
        workers = server.workers()

        def strike():
            nonlocal signalled
            signalled = time.monotonic()
            (os.killpg if group else os.kill)(server.process.pid, number)

        def over():
            nonlocal gone
            if signalled is None and time.monotonic() >= load.began + before:
                strike()
            if server.process.poll() is None:
                return False
            gone = time.monotonic()
            return True

        load.closed_loop(clients, before + 2 * LIMIT_SECONDS, settle=1, until=over)
        load.close()
        status = server.process.poll()
        left = [pid for pid in workers if os.path.exists(f"/proc/{pid}")]
    took = None if gone is None else gone - signalled
    entries = load.ledger.entries.values()
    accepted = [entry for entry in entries if entry.sent is not None and entry.sent < signalled - CLEAR]
    figures = {"accepted": len(accepted), "in_flight_at_signal": sum(entry.ended is None or entry.ended > signalled for entry in accepted),
               "answered": sum(entry.right for entry in accepted), "exit_s": took, "status": status,
               "refused_later": sum(entry.answers > 0 and not entry.ok for entry in entries),
               "cut_later": sum(entry.lost for entry in entries) - sum(entry.lost for entry in accepted)}
    wrong = [f"not answered: {entry}" for entry in accepted if not entry.right][:3]
    wrong += [f"wrong: {entry}" for entry in entries if entry.ok and not entry.right][:3]
    wrong += [f"refused otherwise than by shutting_down: {entry}" for entry in entries
              if entry.answers and not entry.ok and (entry.status, entry.code) != (503, "shutting_down")][:3]
    if status != 0:
        wrong.append(f"exit status {status}")
    if took is None or took > LIMIT_SECONDS:
        wrong.append(f"not gone within {LIMIT_SECONDS:g} s")
    if not figures["in_flight_at_signal"]:
        wrong.append("nothing was in flight at the signal: this proves nothing")
    if left:
        wrong.append(f"the workers {left} are still there")
    return figures, wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--clients", type=int, default=48)
    parser.add_argument("--devices", default="cpu:2")
    arguments = parser.parse_args()
    texts = Texts(2048, 8)
    rows, result, missed = [], {}, []
    for name, (number, group) in WAYS.items():
        seen = []
        for _ in range(arguments.rounds):
            figures, wrong = drained(texts, number, group, arguments.clients, arguments.devices)
            seen.append(figures)
            missed += [f"{name}: {text}" for text in wrong]
        result[name] = seen
        total = {key: sum(figures[key] for figures in seen) for key in ("accepted", "in_flight_at_signal", "answered", "refused_later", "cut_later")}
        rows.append([name, *total.values(), max(f"{figures['exit_s']:.2f}" if figures["exit_s"] else "never" for figures in seen)])
    table(f"Signals under load, {arguments.rounds} each", ["", "accepted", "in flight", "answered", "refused later", "cut later", "gone after s"], rows)
    for text in missed:
        print(f"  missed: {text}")
    report("drain", result | {"missed": missed})
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
