#!/usr/bin/env python3
"""More work than the devices do, open-loop: what is done stays what could be done at most, and the rest is refused at once.

    overload.py [--seconds 20] [--times 1 2 10] [--deadline-ms 1000] [--texts 8] [--pause-ms 1] [--quick] [--devices LIST] [--set KEY=VALUE]

The peak is what a closed loop of 16 clients (more with fewer texts) gets in the same run, before and after. Targets at 2 and 10 times the peak: right answers within their
deadline at least 90 % of the peak; refusals within 50 ms at the 99th percentile of the time that the request was due, each with a Retry-After of whole
seconds from 1 to 60; resident memory flat (at most 16 MiB more in the last third than in the first, and at rest at most 32 MiB more than before);
nothing overdue reaches a device. Nothing is lost, answered twice or wrong at any load. Exit status 1 when a target is missed.
"""
import argparse
import os
import sys
import time

from harness import report, table

from configured_server import MEBIBYTE, ConfiguredServer, Watch, add_server_arguments, asked_precision, mean_between, padding_between, server_arguments
from kill_workers import Processors, process_times
from open_loop import OpenLoop, closed_loop
from traffic import Requests, Traffic

LEAST_GOODPUT, MOST_REFUSAL_MS, LONGEST_RETRY = 0.9, 50.0, 60
MOST_GROWTH, MOST_KEPT = 16 * MEBIBYTE, 32 * MEBIBYTE
# Texts that a closed loop has out at least, so that no lane waits for a client.
TEXTS_OUT = 128
# Refusals for want of room. What expires instead has waited for its whole deadline.
REFUSALS = ("503 overloaded", "429 rate_limit_exceeded")
# Requests a second at which the generator, which shares the processors with the server, need not wake for each.
MANY = 1_000
EXPECTED = (*REFUSALS, "504 deadline_exceeded")


def trial(server, requests, rate, seconds, deadline, pause):
    """Figures of an open loop at `rate` requests a second, `pause` seconds from one look of the generator to the next where they are many."""
    traffic = Traffic("overload", requests, phases=((seconds, rate),), deadline=deadline)
    processors = Processors(server)
    before, used = processors.look(), processor_seconds(server)
    with Watch(server, every=min(0.5, seconds / 12)) as watch:
        loop = OpenLoop(server.port, traffic, pause=pause if rate > MANY else 0.0).run()
    after, used = processors.look(), [end - begin for begin, end in zip(used, processor_seconds(server))]
    others = processors.others(before, after)
    # The queue fills in the beginning; from then on it is as full as it gets.
    begin = seconds / 5
    figures = loop.figures(traffic, begin)
    refused = [entry for entry in loop.of(traffic) if f"{entry.status} {entry.code}" in REFUSALS]
    retries = [entry.retry_after for entry in refused]
    samples = watch.samples()
    return figures | {
        "refusals": len(refused), "refused_p99_ms": _p99([entry.latency for entry in refused]),
        "refused_after_sending_p99_ms": _p99([entry.ended - entry.sent for entry in refused]),
        "retry_after": sorted({retry or "none" for retry in retries}, key=lambda text: (len(text), text)),
        "retry_after_wrong": sum(not (retry or "").isdigit() or not 1 <= int(retry) <= LONGEST_RETRY for retry in retries),
        "memory_growth": watch.growth(loop.began + begin, loop.ended), "expired_on_device": server.scrape().sum("apus_expired_on_device_total"),
        "rows_a_batch": mean_between(samples[0][1], samples[-1][1], "apus_batch_size") if len(samples) > 1 else None,
        "padding_share": padding_between(samples[0][1], samples[-1][1]) if len(samples) > 1 else None,
        "prediction_error_ratio": samples[-1][1].max("apus_batch_prediction_error_ratio") if samples else None,
        "memory_mib": [round(size / MEBIBYTE, 1) for _, size in watch.memory], "pss_mib": [round(size / MEBIBYTE, 1) for _, size in watch.pss],
        "most_in_flight": loop.most_in_flight, "generator_cpu_share": loop.cpu_share, "others_cpu_share": others,
        "server_cpu_share": used[0] / (after[0] - before[0]), "workers_cpu_share": used[1] / (after[0] - before[0]),
        "complaints": loop.complaints() + [f"unexpected answers: {code}" for code in figures["refused"] if code not in EXPECTED],
        "doubts": loop.doubts()}


def processor_seconds(server):
    """Processor seconds that the server itself and that its workers used so far: what refusals cost is in the one, what answers cost in the other."""
    front = server.process.pid
    return [sum(sum(process_times(pid)[:2]) for pid in pids) for pids in ([front], [pid for pid in server.processes() if pid != front])]


def _p99(times):
    ordered = sorted(times)
    return 1e3 * ordered[min(len(ordered) - 1, int(0.99 * len(ordered)))] if ordered else None


def faults(times, figures, peak):
    """Targets that were missed, in words."""
    found = list(figures["complaints"])
    if figures["expired_on_device"]:
        found.append(f"{figures['expired_on_device']:.0f} overdue inputs reached a device")
    if times > 1:
        if figures["goodput_per_s"] < LEAST_GOODPUT * peak:
            found.append(f"goodput {figures['goodput_per_s']:.1f} of {peak:.1f} requests/s, {figures['goodput_per_s'] / peak:.0%}")
        if not figures["refusals"]:
            found.append("nothing was refused for want of room")
        elif figures["refused_p99_ms"] > MOST_REFUSAL_MS:
            found.append(f"refusals took {figures['refused_p99_ms']:.0f} ms at the 99th percentile")
        if figures["retry_after_wrong"]:
            found.append(f"{figures['retry_after_wrong']} refusals without a sensible Retry-After: {figures['retry_after']}")
        if figures["memory_growth"] is None:
            found.append("memory was not looked at often enough")
        elif figures["memory_growth"] > MOST_GROWTH:
            found.append(f"memory grew by {figures['memory_growth'] / MEBIBYTE:.0f} MiB")
    return [f"{times:g} times: {text}" for text in found]


def at_rest(server):
    time.sleep(1)
    with Watch(server, every=0.2, metrics=False) as watch:
        time.sleep(0.7)
    return min(size for _, size in watch.memory)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--times", type=float, nargs="+", default=[1, 2, 10], help="offered load as multiples of the peak")
    parser.add_argument("--deadline-ms", type=float, default=1000)
    parser.add_argument("--texts", type=int, default=8, help="texts a request")
    parser.add_argument("--pool", type=int, default=12_000, help="texts in all")
    parser.add_argument("--quick", action="store_true", help="six seconds a load")
    parser.add_argument("--pause-ms", type=float, default=1, help="between looks of the generator at rates above 1,000 requests/s; latencies count it")
    add_server_arguments(parser)
    arguments = parser.parse_args()
    seconds = min(6.0, arguments.seconds) if arguments.quick else arguments.seconds
    requests = Requests.of("short", arguments.pool, arguments.texts, precision=asked_precision(arguments))
    clients = max(16, -(-TEXTS_OUT // arguments.texts))
    result, missed, rows = {"texts_a_request": arguments.texts, "deadline_ms": arguments.deadline_ms, "load_average": os.getloadavg()}, [], []
    with ConfiguredServer(dict(arguments.settings), *server_arguments(arguments)) as server:
        first, warm = closed_loop(server.port, requests, clients, seconds / 2)
        rest = at_rest(server)
        loads = {times: trial(server, requests, times * first / requests.size, seconds, arguments.deadline_ms / 1e3, arguments.pause_ms / 1e3) for times in arguments.times}
        kept = at_rest(server) - rest
        second, again = closed_loop(server.port, requests, clients, seconds / 2)
        missed += warm.complaints() + again.complaints()
    # The load is a multiple of the peak that was known then; goodput is compared with the larger of both.
    peak = max(first, second) / requests.size
    for times, figures in loads.items():
        missed += faults(times, figures, peak)
        rows.append([f"{times:g}x", figures["offered_per_s"], figures["goodput_per_s"], f"{figures['goodput_per_s'] / peak:.0%}", figures["p99_ms"] or "",
                     figures["refused"].get(REFUSALS[0], 0), figures["refused"].get("504 deadline_exceeded", 0), figures["refused_p99_ms"] or "",
                     "/".join(figures["retry_after"]), f"{(figures['memory_growth'] or 0) / MEBIBYTE:+.1f}", int(figures["expired_on_device"]),
                     f"{figures['late_p99_ms']:.1f}", f"{figures['generator_cpu_share']:.2f}", f"{figures['server_cpu_share']:.2f}",
                     f"{figures['workers_cpu_share']:.2f}", f"{figures['others_cpu_share']:.0%}"])
    if kept > MOST_KEPT:
        missed.append(f"{kept / MEBIBYTE:.0f} MiB more at rest than before")
    table(f"Requests/s of {requests.size} short texts, peak {peak:.1f}, deadline {arguments.deadline_ms:g} ms; at rest {kept / MEBIBYTE:+.1f} MiB",
          ["load", "offered", "goodput", "of peak", "p99 ms", "503", "504", "503 p99 ms", "retry", "MiB", "overdue", "late p99 ms", "generator cores", "server cores", "workers cores", "others"], rows)
    for times, figures in loads.items():
        if times > 1 and figures["offered_per_s"] < 0.9 * times * peak:
            figures["doubts"].append(f"the peak was higher later: {times:g} times it became {figures['offered_per_s'] / peak:.1f} times")
    for text in [doubt for figures in loads.values() for doubt in figures["doubts"]]:
        print(f"  doubt: {text}")
    for text in missed:
        print(f"  missed: {text}")
    report("overload", result | {"peak": peak, "peaks": [first / requests.size, second / requests.size], "memory_kept": kept, "missed": missed,
                                 "loads": {f"{times:g}": figures for times, figures in loads.items()}})
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
