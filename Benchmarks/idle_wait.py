#!/usr/bin/env python3
"""What one idle client waits because others might come: nothing. batching.max_wait_ms 10 against 0, turn by turn.

    idle_wait.py [--rounds 21] [--requests 300] [--wait-ms 10] [--quick] [--devices LIST] [--set KEY=VALUE]

Both servers run all the time and one is asked at a time by one client in a closed loop, the order changing every round. Target: the medians are
within 0.05 ms of one another, as the median over rounds of the difference inside a round. Two more servers that are alike show what the
comparison itself is worth. Exit status 1 when the target is missed.
"""
import argparse
import contextlib
import os
import sys

from harness import median, report, table

from boundary import latency
from configured_server import ConfiguredServer, add_server_arguments, server_arguments

MOST_ADDED_MS = 0.05


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=21)
    parser.add_argument("--requests", type=int, default=300)
    parser.add_argument("--wait-ms", type=int, default=10)
    parser.add_argument("--quick", action="store_true", help="seven rounds")
    add_server_arguments(parser)
    arguments = parser.parse_args()
    rounds, settings = min(7, arguments.rounds) if arguments.quick else arguments.rounds, dict(arguments.settings)
    sides = {"waiting": arguments.wait_ms, "not waiting": 0, "not waiting either": 0}
    with contextlib.ExitStack() as stack:
        servers = {name: stack.enter_context(ConfiguredServer(settings | {"batching.max_wait_ms": value}, *server_arguments(arguments)))
                   for name, value in sides.items()}
        for server in servers.values():
            latency(server, 100)
        seen = {name: [] for name in sides}
        for number in range(rounds):
            names = list(sides)
            for name in names[number % 3:] + names[:number % 3]:
                seen[name].append(latency(servers[name], arguments.requests))
    added, noise = (median([one - other for one, other in zip(seen[name], seen["not waiting"])]) for name in ("waiting", "not waiting either"))
    missed = [] if abs(added) <= MOST_ADDED_MS else [f"{added:+.3f} ms"]
    table(f"One client, one short text, p50 in ms over {rounds} rounds of {arguments.requests}",
          ["", "max_wait_ms", "p50", "difference", "target", "met"],
          [["waiting", arguments.wait_ms, f"{median(seen['waiting']):.3f}", f"{added:+.3f}", f"±{MOST_ADDED_MS}", "no" if missed else "yes"],
           ["not waiting", 0, f"{median(seen['not waiting']):.3f}", "", "", ""],
           ["not waiting either", 0, f"{median(seen['not waiting either']):.3f}", f"{noise:+.3f}", "", ""]])
    report("idle_wait", {"p50_ms": seen, "wait_ms": arguments.wait_ms, "added_ms": added, "noise_ms": noise, "load_average": os.getloadavg(), "missed": missed})
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
