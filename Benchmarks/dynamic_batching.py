#!/usr/bin/env python3
"""What batching across clients brings: against batches of one, and against a queue that is first in, first out and padded.

    dynamic_batching.py [--rounds 5] [--clients 64] [--budget 384] [--size 8] [--quick] [--devices LIST] [--set KEY=VALUE]

Two servers run all the time, one of them with batching.max_batch_size 1, and one is asked at a time, the order changing every round: each time
a fixed number of short texts, one a request, from 64 clients in a closed loop. Target: 2.5 times the throughput. Then the mixed corpus at saturation,
as many clients with 8 texts a request, against peer_fifo_queue.py with the same token budget, the same texts in the same order and as many of them
waiting. Targets: at least 1.25 times its throughput (it has no HTTP around it), at most 3 % of the computed tokens padding. Figures are medians over
rounds of what was compared inside a round. Every vector is checked. Exit status 1 when a target is missed.
"""
import argparse
import contextlib
import os
import sys

from harness import json_lines, median, report, table, text_file

from configured_server import ConfiguredServer, add_server_arguments, asked_precision, mean_between, padding_between, server_arguments
from kill_workers import Processors
from open_loop import FixedWork
from traffic import Requests

LEAST_GAIN, LEAST_OVER_QUEUE, MOST_PADDING = 2.5, 1.25, 0.03


def ask(server, requests, clients):
    """Figures of all requests, once each."""
    before = server.scrape()
    work = FixedWork(server.port, requests, clients)
    after = server.scrape()
    return {"texts_per_second": work.texts_per_second, "p50_ms": work.loop.figures()["p50_ms"], "complaints": work.loop.complaints(),
            "refused": work.loop.figures()["refused"], "rows_a_batch": mean_between(before, after, "apus_batch_size"),
            "padding_share": padding_between(before, after), "generator_cpu_share": work.cpu_share}


def peer(corpus, count, waiting, budget):
    command = [sys.executable, __file__.replace("dynamic_batching.py", "peer_fifo_queue.py"), "--file", text_file(corpus, count), "--budget", budget,
               "--waiting", waiting]
    return json_lines(command)[0]


def in_turns(rounds, sides, *servers):
    """Lists of what each of two sides gave, in rounds, the order changing every round; with how much of the machine others used meanwhile."""
    seen, processors = {name: [] for name in sides}, Processors(*servers)
    for number in range(rounds):
        for name in list(sides) if number % 2 == 0 else list(sides)[::-1]:
            before = processors.look()
            figures = sides[name]()
            seen[name].append(figures | {"others_cpu_share": processors.others(before, processors.look())})
    return seen


def ratio(seen, above, below):
    return median([over["texts_per_second"] / under["texts_per_second"] for over, under in zip(seen[above], seen[below])])


def rows(seen):
    for name, figures in seen.items():
        yield [name] + [median(values) if None not in values else "" for values in
                        ([figure.get(key) for figure in figures] for key in ("texts_per_second", "p50_ms", "rows_a_batch"))] + [
            f"{median([figure['padding_share'] for figure in figures]):.1%}",
            f"{median([figure['generator_cpu_share'] for figure in figures]):.0%}" if "generator_cpu_share" in figures[0] else "",
            f"{median([figure['others_cpu_share'] for figure in figures]):.0%}"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--budget", type=int, default=384, help="tokens of a batch on both sides of the mixed corpus")
    parser.add_argument("--size", type=int, default=8, help="texts a request of the mixed corpus")
    parser.add_argument("--quick", action="store_true", help="fewer texts, three rounds")
    add_server_arguments(parser)
    arguments = parser.parse_args()
    counts, rounds = {"short": 4000, "mixed": 2400}, arguments.rounds
    if arguments.quick:
        counts, rounds = {"short": 800, "mixed": 600}, min(3, rounds)
    # Everything that the clients have out may wait: this is about batches, not about admission.
    settings, options = {"batching.max_queue_seconds": 120} | dict(arguments.settings), server_arguments(arguments)
    result, missed = {"load_average": os.getloadavg(), "clients": arguments.clients, "texts": counts, "rounds": rounds}, []
    header = ["", "texts/s", "p50 ms", "rows a batch", "padding", "generator's cpu", "others' cpu"]

    requests = Requests.of("short", counts["short"], 1, precision=asked_precision(arguments))
    with contextlib.ExitStack() as stack:
        servers = {name: stack.enter_context(ConfiguredServer(settings | changes, *options))
                   for name, changes in {"batched": {}, "batches of one": {"batching.max_batch_size": 1}}.items()}
        for server in servers.values():
            FixedWork(server.port, requests, arguments.clients, count=200)
        seen = in_turns(rounds, {name: lambda server=server: ask(server, requests, arguments.clients) for name, server in servers.items()}, *servers.values())
    gain = ratio(seen, "batched", "batches of one")
    result["short"] = {"seen": seen, "gain": gain}
    table(f"{arguments.clients} clients, one short text a request: {gain:.2f} times batches of one, target {LEAST_GAIN}", header, rows(seen))
    if gain < LEAST_GAIN:
        missed.append(f"short texts: {gain:.2f} times batches of one")

    requests = Requests.of("mixed", counts["mixed"], arguments.size, precision=asked_precision(arguments))
    clients = min(arguments.clients, len(requests) - 1)
    waiting = clients * arguments.size
    with ConfiguredServer(settings | {"batching.token_budget": arguments.budget}, *options) as server:
        FixedWork(server.port, requests, clients, count=8)
        both = in_turns(rounds, {"apus over HTTP": lambda: ask(server, requests, clients),
                                 "first in, first out": lambda: peer("mixed", counts["mixed"], waiting, arguments.budget)}, server)
    gain, padding = ratio(both, "apus over HTTP", "first in, first out"), median([figure["padding_share"] for figure in both["apus over HTTP"]])
    result["mixed"] = {"seen": both, "gain": gain, "padding_share": padding, "budget": arguments.budget, "texts_waiting": waiting}
    table(f"{waiting} texts of the mixed corpus wait, {arguments.budget} tokens a batch: {gain:.2f} times the queue, target {LEAST_OVER_QUEUE}; "
          f"padding {padding:.1%}, target {MOST_PADDING:.0%}", header, rows(both))
    if gain < LEAST_OVER_QUEUE:
        missed.append(f"mixed texts: {gain:.2f} times a queue that is first in, first out")
    if padding > MOST_PADDING:
        missed.append(f"mixed texts: {padding:.1%} of the computed tokens are padding")

    for figure in [figure for figures in (*seen.values(), both["apus over HTTP"]) for figure in figures]:
        missed += figure["complaints"] + ([f"refused: {figure['refused']}"] if figure["refused"] else [])
    for text in missed:
        print(f"  missed: {text}")
    report("dynamic_batching", result | {"missed": missed})
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
