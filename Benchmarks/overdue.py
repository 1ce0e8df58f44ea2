#!/usr/bin/env python3
"""More work than the devices do, every request with a deadline: what is overdue is refused and reaches no device.

    overdue.py [--seconds 20] [--times 2] [--deadline-ms 400] [--devices cpu:2]

Targets: `apus_expired_on_device_total` stays 0; every answer is a right vector, 504 deadline_exceeded or 503 overloaded; answers within the deadline
are at least 90 % of what the server does at its peak without deadlines. Exit status 1 when a target is missed.
"""
import argparse
import os
import sys

from harness import Server, percentile, report, table

from kill_workers import peak
from ledger import Load, Texts

EXPECTED = {"504 deadline_exceeded", "503 overloaded"}
LEAST_GOODPUT = 0.9


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--times", type=float, default=2, help="offered load as a multiple of the peak")
    parser.add_argument("--deadline-ms", type=int, default=400)
    parser.add_argument("--devices", default="cpu:2")
    arguments = parser.parse_args()
    texts = Texts(4096, 8)
    with Server("--devices", arguments.devices) as server:
        top = peak(server, texts)
        load = Load(server.port, texts, connections=256, headers={"x-apus-timeout-ms": arguments.deadline_ms})
        load.open_loop(arguments.times * top, arguments.seconds)
        load.close()
        counted = {name: server.metric(f"apus_{name}_total") for name in ("expired_inputs", "expired_on_device")}
    books, entries = load.ledger.books(), load.ledger.entries.values()
    goodput = load.rate(load.began + 1, load.began + arguments.seconds)
    refusals = [entry.ended - entry.sent for entry in entries if entry.answers and not entry.ok]
    missed = load.ledger.complaints()
    if counted["expired_on_device"]:
        missed.append(f"{counted['expired_on_device']:.0f} overdue inputs reached a device")
    if not counted["expired_inputs"]:
        missed.append("nothing expired: this proves nothing")
    if set(books["errors"]) - EXPECTED:
        missed.append(f"errors {books['errors']}")
    if goodput < LEAST_GOODPUT * top:
        missed.append(f"goodput {goodput:.1f} of {top:.1f} requests/s")
    table(f"{arguments.times:g} times the peak with deadlines of {arguments.deadline_ms} ms, requests/s",
          ["peak", "offered", "answered", "share", "expired", "refused", "refused after ms, p99", "lost", "wrong", "overdue on a device"],
          [[f"{top:.1f}", books["requests"] / arguments.seconds, goodput, f"{goodput / top:.1%}", books["errors"].get("504 deadline_exceeded", 0),
            books["errors"].get("503 overloaded", 0), f"{1e3 * percentile(refusals, 0.99):.0f}" if refusals else "", books["lost"], books["wrong"],
            int(counted["expired_on_device"])]])
    for text in missed:
        print(f"  missed: {text}")
    report("overdue", books | counted | {"peak": top, "goodput": goodput, "client_cpu_share": load.cpu_share, "load_average": os.getloadavg(),
                                         "missed": missed})
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
