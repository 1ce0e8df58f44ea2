#!/usr/bin/env python3
"""Kills workers of a loaded server with SIGKILL, one every few seconds, and stops one; a ledger says what clients noticed.

    kill_workers.py [--seconds 600] [--every 10] [--share 0.7] [--texts 8] [--devices cpu:2]

Every request has an id and texts of its own, and every vector is compared with the library's. Targets: no accepted request lost, none answered
twice, no wrong vector, no error; p99 in the 5 s after a kill at most max(2 x base, base + 500 ms), base being the time outside of these windows;
a killed worker serves again within 3 s; nothing that was overdue reached a device. Exit status 1 when a target is missed.
"""
import argparse
import contextlib
import dataclasses
import os
import pathlib
import signal
import sys
import threading
import time

from harness import THREADS, Server, median, percentile, report, table

from ledger import Load, Texts

AFTER = 5.0
BACK_WITHIN = 3.0
STOP_AT, STOP_SECONDS = 3.0, 20.0


@dataclasses.dataclass
class Outage:
    """One worker that was killed or stopped."""
    at: float
    pid: int
    device: str | None = None
    noticed: float | None = None
    """Seconds until the server counted it."""
    back: float | None = None
    """Seconds until the device answered a request that was sent after it."""
    p99: float | None = None
    others: float | None = None
    """Share of the machine's processor time that went to programs other than the server and this one, in the seconds after it."""


def process_times(pid):
    """Processor seconds of a process, in user mode and in the system, then those of its children that have ended."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:15]
    return [int(field) / os.sysconf("SC_CLK_TCK") for field in fields]


class Processors:
    """How much of the machine others use: a figure measured beside a build says little about the server."""

    def __init__(self, *servers):
        self.servers, self.ticks = servers, os.sysconf("SC_CLK_TCK")

    def look(self):
        """(seconds since the start of the machine, processor seconds used by all, by the servers with their workers and this program)"""
        fields = [int(field) for field in pathlib.Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
        # Programs that this one ran to their end are its own, too.
        own = sum(os.times()[:4])
        for front, pid in [(server.process.pid, pid) for server in self.servers for pid in server.processes()]:
            with contextlib.suppress(OSError):
                times = process_times(pid)
                # What workers used that have ended is in the server's account of its children.
                own += sum(times if pid == front else times[:2])
        # Of user, nice, system, idle, iowait, irq, softirq and steal, all but idle and iowait are use.
        return time.monotonic(), (sum(fields) - fields[3] - fields[4]) / self.ticks, own

    @staticmethod
    def others(before, after):
        return max(0.0, (after[1] - before[1] - after[2] + before[2]) / (after[0] - before[0]) / THREADS)


class Outages:
    """Ends workers of a server, the oldest first, and asks its metrics which device that was."""

    def __init__(self, server):
        self.server, self.outages, self.threads = server, [], []
        self.devices, self.processors = devices(server), Processors(server)
        self.known = self._restarts()

    def kill(self):
        self._strike(signal.SIGKILL)

    def stop(self):
        self._strike(signal.SIGSTOP)

    def _strike(self, number):
        workers = self.server.workers()
        if not workers:
            return
        outage, before = Outage(time.monotonic(), workers[0]), self.processors.look()
        os.kill(outage.pid, number)
        self.outages.append(outage)
        thread = threading.Thread(target=self._notice, args=[outage, before])
        thread.start()
        self.threads.append(thread)

    def _notice(self, outage, before):
        while outage.device is None and time.monotonic() < outage.at + 8:
            time.sleep(0.05)
            now = self._restarts()
            outage.device = next((device for device in now if now[device] > self.known[device]), None)
            if outage.device is not None:
                outage.noticed, self.known = time.monotonic() - outage.at, now
        time.sleep(max(0.0, outage.at + AFTER - time.monotonic()))
        outage.others = self.processors.others(before, self.processors.look())

    def _restarts(self):
        return {device: self.server.metric("apus_device_restarts_total", device=device) for device in self.devices}

    def settle(self, ledger):
        """Says of each outage what the ledger knows of it."""
        for thread in self.threads:
            thread.join()
        entries = [entry for entry in ledger.entries.values() if entry.ok]
        for outage in self.outages:
            outage.back = min((entry.ended - outage.at for entry in entries
                               if entry.sent > outage.at and outage.device in entry.devices), default=None)
            window = [entry.latency for entry in entries if outage.at <= entry.due < outage.at + AFTER]
            outage.p99 = percentile(window, 0.99) if window else None

    def spared(self, entry):
        """Whether a request was due while no worker had just been ended."""
        return not any(outage.at <= entry.due < outage.at + AFTER for outage in self.outages)


def devices(server):
    return sorted({row["device"] for row in server.get("/health/ready").json["models"]})


def peak(server, texts, clients=16, seconds=6.0):
    """Requests a second with as many clients as keep all devices busy."""
    load = Load(server.port, texts)
    load.closed_loop(clients, seconds)
    load.close()
    complaints = load.ledger.complaints()
    if complaints:
        sys.exit(f"without any trouble there was trouble: {complaints}")
    return load.rate(load.began + seconds / 4, load.began + seconds)


def trial(server, texts, rate, seconds, strikes):
    """A load of `rate` requests a second with `strikes`, pairs (when, "kill" or "stop"), in it; (load, outages)."""
    outages = Outages(server)
    load = Load(server.port, texts)
    load.open_loop(rate, seconds, [(when, getattr(outages, what)) for when, what in strikes])
    load.close()
    outages.settle(load.ledger)
    return load, outages


def judge(load, outages):
    """The figures of a trial."""
    spared, slow = load.ledger.latencies(outages.spared), [outage.p99 for outage in outages.outages if outage.p99 is not None]
    base = percentile(spared, 0.99)
    limit = max(2 * base, base + 0.5)
    backs = [outage.back for outage in outages.outages]
    return load.ledger.books() | {
        "outages": len(backs), "base_p50_ms": 1e3 * percentile(spared, 0.5), "base_p99_ms": 1e3 * base, "limit_ms": 1e3 * limit,
        "after_p99_ms_median": 1e3 * median(slow), "after_p99_ms_worst": 1e3 * max(slow),
        "windows_over_limit": sum(value > limit for value in slow),
        "back_s_median": None if None in backs else median(backs), "back_s_worst": None if None in backs else max(backs),
        "noticed_s_worst": max((outage.noticed for outage in outages.outages if outage.noticed is not None), default=None),
        "in_flight_most": load.peak_in_flight, "client_cpu_share": load.cpu_share,
        "others_cpu_share": [outage.others and round(outage.others, 2) for outage in outages.outages],
        "back_s": [outage.back and round(outage.back, 3) for outage in outages.outages],
        "after_p99_ms": [round(1e3 * value, 1) for value in slow]}


def faults(name, load, figures, counted, kills=True):
    """Targets that were missed, in words."""
    found = [f"{name}: {text}" for text in load.ledger.complaints()]
    if figures["errors"]:
        found.append(f"{name}: errors {figures['errors']}")
    if figures["not_sent"]:
        found.append(f"{name}: {figures['not_sent']} requests could not be sent")
    if figures["back_s_worst"] is None:
        found.append(f"{name}: a worker did not come back")
    elif kills and figures["back_s_worst"] > BACK_WITHIN:
        found.append(f"{name}: a worker was back after {figures['back_s_worst']:.2f} s only")
    if kills and figures["outages"] > 1 and figures["windows_over_limit"]:
        found.append(f"{name}: p99 after a kill was over {figures['limit_ms']:.0f} ms in {figures['windows_over_limit']} of {figures['outages']} windows")
    if counted["expired_on_device"]:
        found.append(f"{name}: {counted['expired_on_device']:.0f} overdue inputs reached a device")
    return found


def counters(server):
    return {"restarts": {cause: server.metric("apus_device_restarts_total", cause=cause) for cause in ("killed", "hung", "crashed", "sticky", "spawn")},
            "replayed_inputs": server.metric("apus_replays_total"), "quarantined_inputs": server.metric("apus_quarantined_inputs_total"),
            "expired_on_device": server.metric("apus_expired_on_device_total"), "device_up": server.metric("apus_device_up")}


def killed_and_stopped(texts, arguments):
    """Two figures' sets of one server: workers killed for a long time, then one stopped."""
    with Server("--devices", arguments.devices) as server:
        top = peak(server, texts)
        rate = arguments.share * top
        count = int(max(1, (arguments.seconds - AFTER) // arguments.every + 1))
        kills = [(arguments.every / 2 + number * arguments.every, "kill") for number in range(count)
                 if arguments.every / 2 + number * arguments.every + AFTER <= arguments.seconds + 1e-9]
        load, outages = trial(server, texts, rate, arguments.seconds, kills)
        killed = judge(load, outages) | {"counters": counters(server)}
        missed = faults("killed", load, killed, killed["counters"])
        if len(outages.outages) != len(kills):
            missed.append(f"killed: {len(outages.outages)} of {len(kills)} kills found a worker")
        load, outages = trial(server, texts, rate, STOP_SECONDS, [(STOP_AT, "stop")])
        stopped = judge(load, outages) | {"counters": counters(server)}
        missed += faults("stopped", load, stopped, stopped["counters"], kills=False)
        if not stopped["counters"]["restarts"]["hung"]:
            missed.append("stopped: the server did not notice a worker that was stopped")
        if server.signal_and_wait() != 0:
            missed.append("the server did not end well")
    return {"peak_requests_per_second": top, "texts_a_request": texts.size, "rate": rate, "killed": killed, "stopped": stopped}, missed


def alone(texts, share):
    """The only worker there is, killed: requests wait for the next one."""
    with Server("--devices", "cpu") as server:
        rate = share * peak(server, texts)
        load, outages = trial(server, texts, rate, 12.0, [(4.0, "kill")])
        figures = judge(load, outages) | {"counters": counters(server), "rate": rate}
    return figures, faults("alone", load, figures, figures["counters"])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--every", type=float, default=10)
    parser.add_argument("--share", type=float, default=0.7)
    parser.add_argument("--texts", type=int, default=8, help="texts a request")
    parser.add_argument("--pool", type=int, default=4096, help="texts in all")
    parser.add_argument("--devices", default="cpu:2")
    arguments = parser.parse_args()
    if arguments.seconds < arguments.every / 2 + AFTER:
        parser.error(f"--seconds must leave room for one kill, {arguments.every / 2 + AFTER:g} at least")
    texts = Texts(arguments.pool, arguments.texts)
    result, missed = killed_and_stopped(texts, arguments)
    result["alone"], more = alone(texts, arguments.share / 2)
    missed += more
    rows = []
    for name in ("killed", "stopped", "alone"):
        row = result[name]
        rows.append([name, row["outages"], row["requests"], row["lost"], row["twice"], row["wrong"], sum(row["errors"].values()), row["base_p50_ms"],
                     row["base_p99_ms"], row["after_p99_ms_median"], row["after_p99_ms_worst"], row["limit_ms"],
                     "never" if row["back_s_worst"] is None else f"{row['back_s_median']:.2f} / {row['back_s_worst']:.2f}",
                     f"{max(row['others_cpu_share']):.0%}"])
    table(f"Workers ended under load, {arguments.share:.0%} of {result['peak_requests_per_second']:.0f} requests/s of {arguments.texts} texts",
          ["", "outages", "requests", "lost", "twice", "wrong", "errors", "p50 ms", "p99 ms", "p99 after", "worst", "limit", "back s, worst", "others' cpu"], rows)
    for text in missed:
        print(f"  missed: {text}")
    report("kill_workers", result | {"missed": missed, "load_average": os.getloadavg()})
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
