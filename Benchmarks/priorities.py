#!/usr/bin/env python3
"""Interactive work beside bulk work: what high-priority requests notice of twice as much low-priority work as the devices can do, and fair shares.

    priorities.py [--seconds 30] [--high 40] [--times 2] [--texts 8] [--target-ms 200] [--quick] [--devices LIST]
                  [--set KEY=VALUE]

First, high-priority requests of one short text at `--high` a second on an idle server, open-loop; then the same arrivals beside an open loop of
low-priority requests at twice the peak. Target: p99 at most that on the idle server plus the time of one low-priority batch, as the server itself says
it in the provenance of low-priority answers (99th percentile of the batches' run time, like the latencies); and the median of these batches takes
at most a quarter of --target-ms, which the server is told (batching.high_latency_target_ms). Then closed loops of all three classes, each with more
waiting than the devices do: of what is computed, high, medium and low get 50, 30 and 20 %, each within 3. Then two API keys in one class, one with
four times the clients of the other: each gets half, within 3 %. Nothing is lost, answered twice or wrong. Exit status 1 when a target is missed.
"""
import argparse
import hashlib
import json
import os
import secrets
import sys

from harness import percentile, report, table

from configured_server import ConfiguredServer, add_server_arguments, asked_precision, server_arguments
from kill_workers import Processors
from open_loop import OpenLoop, closed_loop
from traffic import Requests, Traffic

SHARES, MOST_OFF = {"high": 0.5, "medium": 0.3, "low": 0.2}, 0.03
KEYS, MOST_OF_TARGET = {"many": 4, "few": 1}, 0.25


def batch_times(entries):
    """Milliseconds and rows of the batches that answers' provenance speaks of, each batch once: inputs of one batch bear the same figures."""
    batches = set()
    for entry in entries:
        if entry.right:
            batches |= {(row["run_ms"], row["batch_size"]) for row in json.loads(entry.body)["provenance"]}
    return sorted(batches)


def light_traffic(server, requests, rate, seconds, beside=()):
    """Figures of high-priority requests and of what was beside them; the loop."""
    high = Traffic("high", requests, phases=((seconds, rate),), priority="high")
    processors = Processors(server)
    before = processors.look()
    loop = OpenLoop(server.port, high, *beside).run()
    others = processors.others(before, processors.look())
    # The backlog grows in the beginning.
    begin = seconds / 6 if beside else 0.0
    return loop, {"high": loop.figures(high, begin), "beside": {kind.name: loop.figures(kind, begin) for kind in beside},
                  "generator_cpu_share": loop.cpu_share, "others_cpu_share": others, "complaints": loop.complaints(), "doubts": loop.doubts()}


def shares(server, kinds, seconds):
    """Texts a second that each class of closed-loop traffic got computed, by name; what part of all that is; and the loop."""
    loop = OpenLoop(server.port, *kinds).run(seconds)
    rates = {kind.name: kind.requests.size * loop.rate(kind, seconds / 5, seconds) for kind in kinds}
    total = sum(rates.values())
    return rates, {name: rate / total if total else 0.0 for name, rate in rates.items()}, loop


def keys(settings, options, pools, clients, seconds):
    """What two API keys get of a server that both want all of."""
    secrets_of = {name: secrets.token_hex(16) for name in (*KEYS, "watch")}
    configured = [{"name": name, "sha256": hashlib.sha256(secret.encode()).hexdigest(), "scopes": ["infer", "metrics", "admin"]}
                  for name, secret in secrets_of.items()]
    with ConfiguredServer(settings | {"auth.keys": configured}, *options, key=secrets_of["watch"]) as server:
        kinds = [Traffic(name, requests, clients=clients * times, key=secrets_of[name]) for (name, times), requests in zip(KEYS.items(), pools.values())]
        return shares(server, kinds, seconds)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--high", type=float, default=40, help="high-priority requests a second")
    parser.add_argument("--times", type=float, default=2, help="low-priority work as a multiple of the peak")
    parser.add_argument("--texts", type=int, default=8, help="texts of a low-priority request")
    parser.add_argument("--clients", type=int, default=48, help="of each class, for the shares")
    parser.add_argument("--target-ms", type=int, default=200, help="the answer time meant for high-priority work")
    parser.add_argument("--quick", action="store_true", help="eight seconds a trial")
    add_server_arguments(parser)
    arguments = parser.parse_args()
    seconds = min(8.0, arguments.seconds) if arguments.quick else arguments.seconds
    settings, options = {"batching.high_latency_target_ms": arguments.target_ms} | dict(arguments.settings), server_arguments(arguments)
    light = Requests.of("short", 4000, 1, precision=asked_precision(arguments))
    # Texts of their own for every class: what is asked for twice at the same time is computed once.
    pools = {name: Requests.of("short", 4000, arguments.texts, 4000 * (number + 1), asked_precision(arguments)) for number, name in enumerate(SHARES)}
    result, missed = {"load_average": os.getloadavg()}, []
    with ConfiguredServer(settings, *options) as server:
        peak = closed_loop(server.port, pools["medium"], 16, min(8.0, seconds))[0]
        _, idle = light_traffic(server, light, arguments.high, seconds)
        low = Traffic("low", pools["low"], phases=((seconds, arguments.times * peak / arguments.texts),), priority="low", provenance=True)
        loop, loaded = light_traffic(server, light, arguments.high, seconds, [low])
        batches = batch_times(loop.of(low, seconds / 6))
        kinds = [Traffic(name, pools[name], clients=arguments.clients, priority=name) for name in SHARES]
        rates, seen, backlogged = shares(server, kinds, seconds)
        expired = server.scrape().sum("apus_expired_on_device_total")
    key_rates, key_shares, keyed = keys(settings, options, pools, arguments.clients // 2, seconds)
    run_times = [run_ms for run_ms, _ in batches]
    batch = {"count": len(batches), "p50_ms": percentile(run_times, 0.5) if batches else None, "p99_ms": percentile(run_times, 0.99) if batches else None,
             "rows": sum(rows for _, rows in batches) / len(batches) if batches else None}
    for name, books in (("idle", idle), ("loaded", loaded)):
        missed += [f"{name}: {text}" for text in books["complaints"]]
        if books["high"]["refused"]:
            missed.append(f"{name}: high-priority requests were refused: {books['high']['refused']}")
    missed += [f"shares: {text}" for text in backlogged.complaints()] + [f"keys: {text}" for text in keyed.complaints()]
    limit = None
    if not batches:
        missed.append("no low-priority request was answered")
    elif idle["high"]["p99_ms"] is None or loaded["high"]["p99_ms"] is None:
        missed.append("no high-priority request was answered")
    else:
        limit = idle["high"]["p99_ms"] + batch["p99_ms"]
        if loaded["high"]["p99_ms"] > limit:
            missed.append(f"high-priority p99 {loaded['high']['p99_ms']:.1f} ms, at most {limit:.1f}")
    for name, share in SHARES.items():
        if abs(seen[name] - share) > MOST_OFF:
            missed.append(f"{name} got {seen[name]:.1%} of the devices, {share:.0%} within {MOST_OFF:.0%} was due")
    for name, share in key_shares.items():
        if abs(share - 1 / len(KEYS)) > MOST_OFF:
            missed.append(f"the key '{name}' got {share:.1%} of the devices")
    if batches and batch["p50_ms"] > MOST_OF_TARGET * arguments.target_ms:
        missed.append(f"batches of low work take {batch['p50_ms']:.1f} ms, at most {MOST_OF_TARGET * arguments.target_ms:.1f} beside high work")
    if expired:
        missed.append(f"{expired:.0f} overdue inputs reached a device")

    def row(name, figures, books):
        return [name, figures["offered_per_s"], figures["answered_per_s"], *[figures[key] or "" for key in ("p50_ms", "p95_ms", "p99_ms")],
                sum(figures["refused"].values()), f"{figures['late_p99_ms']:.1f}", f"{books['others_cpu_share']:.0%}"]

    table(f"High-priority requests beside {arguments.times:g} times the peak of {peak:.0f} texts/s in low-priority work; ms"
          + (f", p99 at most {limit:.1f}" if limit else ""),
          ["", "offered/s", "answered/s", "p50", "p95", "p99", "refused", "late p99", "others"],
          [row("high, idle server", idle["high"], idle), row("high, beside low", loaded["high"], loaded), row("low", loaded["beside"]["low"], loaded)])
    table(f"Low-priority batches as the server says: {batch['count']} of {batch['rows'] or 0:.1f} rows", ["", "p50 ms", "p99 ms"],
          [["run time", batch["p50_ms"] or "", batch["p99_ms"] or ""]])
    table(f"Shares with {arguments.clients} clients of each class", ["", "texts/s", "share", "due", "met"],
          [[name, rates[name], f"{seen[name]:.1%}", f"{share:.0%} ±{MOST_OFF:.0%}", "yes" if abs(seen[name] - share) <= MOST_OFF else "no"]
           for name, share in SHARES.items()])
    table("Shares of two API keys in one class", ["", "clients", "texts/s", "share", "due", "met"],
          [[name, arguments.clients // 2 * times, key_rates[name], f"{key_shares[name]:.1%}", f"{1 / len(KEYS):.0%} ±{MOST_OFF:.0%}",
            "yes" if abs(key_shares[name] - 1 / len(KEYS)) <= MOST_OFF else "no"] for name, times in KEYS.items()])
    for text in idle["doubts"] + loaded["doubts"]:
        print(f"  doubt: {text}")
    for text in missed:
        print(f"  missed: {text}")
    report("priorities", result | {"peak_texts_per_second": peak, "idle": idle, "loaded": loaded, "low_batches": batch, "limit_ms": limit,
                                   "texts_per_second": rates, "shares": seen, "keys": {"texts_per_second": key_rates, "shares": key_shares}, "expired_on_device": expired, "missed": missed})
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
