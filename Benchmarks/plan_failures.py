#!/usr/bin/env python3
"""Ends workers and devices of servers whose devices share a model, in each form of plan, in the middle of load.

    plan_failures.py [--seconds 14] [--share 0.5] [--texts 8] [--forms tensor,pipeline,…]

For every form two servers: one whose oldest worker is killed, and one of whose devices fails once (`--chaos`). A ledger says what clients noticed,
`GET /v1/devices` which plan was in force when. Targets: no accepted request lost, none answered twice, no wrong vector, no error; after the failure a
plan serves again within 5 s; the plan that was asked for is back before the load ends. Exit status 1 when a target is missed.
"""
import argparse
import dataclasses
import os
import signal
import sys
import threading
import time

from harness import Server, percentile, report, table

from ledger import Load, Texts

SERVES_WITHIN = 5.0
FAILS_AT = 2.0
FAULT_SECONDS = 4.0
"""Since the device first served: the server starts, is ready, and load has begun."""


@dataclasses.dataclass(frozen=True)
class Form:
    arguments: tuple
    fault: str
    """Of one device, once."""


FORMS = {
    "data_parallel": Form(("--devices", "cpu:2", "--strategy", "data_parallel"), "cpu:1:crash@{when}"),
    "tensor": Form(("--devices", "cpu:2", "--tensor-parallel", "2"), "cpu:1:sticky@{when}"),
    "pipeline": Form(("--devices", "cpu:2", "--pipeline-parallel", "2"), "cpu:1:sticky@{when}"),
    "hybrid": Form(("--devices", "cpu:4", "--tensor-parallel", "2", "--pipeline-parallel", "2"), "cpu:2:sticky@{when}"),
    "tensor_twice": Form(("--devices", "cpu:4", "--tensor-parallel", "2", "--replicas", "2"), "cpu:3:sticky@{when}"),
}


class Watch:
    """Looks at the plan all the time: when which units served."""

    def __init__(self, server, pause=0.02):
        self.server, self.pause, self.is_over = server, pause, threading.Event()
        self.views = []
        """(time, whether every unit that there is serves, whether all replicas do as was asked for, last step)"""
        self.thread = threading.Thread(target=self._look)
        self.thread.start()

    def _look(self):
        while not self.is_over.wait(self.pause):
            plan = self.server.get("/v1/devices").json["plan"]
            step = plan["last_step"]
            states = [unit["state"] for unit in plan["units"]]
            serves = plan["current"] is not None and states.count("serving") == len(states) > 0
            as_asked = serves and plan["current"] == plan["wished"] and plan["serving_replicas"] == plan["replicas"]
            view = (time.monotonic(), serves, as_asked, step and (step["step"], step["cause"], step["text"]))
            if not self.views or self.views[-1][1:] != view[1:]:
                self.views.append(view)

    def end(self):
        self.is_over.set()
        self.thread.join()

    def steps(self):
        """Each step that was seen, once, in its order."""
        found = []
        for view in self.views:
            if view[3] and (not found or found[-1] != view[3]):
                found.append(view[3])
        return found

    def outcome(self):
        """(when the first change was seen, seconds from then until a plan served, until the plan that was asked for did)"""
        noticed = next((view[0] for view in self.views if view[3]), None)
        if noticed is None:
            return None, None, None
        serving = next((view[0] for view in self.views if view[0] >= noticed and view[1]), None)
        back = next((view[0] for view in self.views if view[0] >= noticed and view[2]), None)
        return noticed, serving and serving - noticed, back and back - noticed


def silence(ledger, after):
    """The longest time, from `after` on, in which requests were out and none was answered."""
    ends = sorted(entry.ended for entry in ledger.entries.values() if entry.ok and entry.ended >= after)
    sent = min((entry.due for entry in ledger.entries.values() if entry.due >= after), default=after)
    return max((b - a for a, b in zip([max(after, sent)] + ends, ends)), default=0.0)


def kill(server):
    workers = server.workers()
    if workers:
        os.kill(workers[0], signal.SIGKILL)


def trial(form, texts, share, seconds, fault):
    """The figures of one server: its oldest worker is killed, or one of its devices fails when it has computed for a while."""
    chaos = ("--chaos", form.fault.format(when=f"{FAULT_SECONDS:g}s")) if fault else ()
    with Server(*form.arguments, "--precision", "fp32", *chaos) as server:
        if fault:
            rate = None
        else:
            load = Load(server.port, texts)
            load.closed_loop(12, 3.0)
            rate = share * load.rate(load.began + 1, load.began + 3)
            load.close()
        watch = Watch(server)
        load = Load(server.port, texts)
        if fault:
            # Until the device fails nobody knows how fast the server is.
            load.closed_loop(6, seconds)
        else:
            load.open_loop(rate, seconds, [(FAILS_AT, lambda: kill(server))])
        load.close()
        watch.end()
        noticed, serving, back = watch.outcome()
        counted = {(step, cause): server.metric("apus_plan_steps_total", step=step, cause=cause) for step, cause, _ in watch.steps()}
        latencies = load.ledger.latencies(lambda entry: True)
        return load.ledger, load.ledger.books() | {
            "rate": rate, "p50_ms": 1e3 * percentile(latencies, 0.5), "p99_ms": 1e3 * percentile(latencies, 0.99),
            "silence_s": noticed and silence(load.ledger, noticed - 0.1), "serves_after_s": serving, "as_asked_after_s": back,
            "steps": [f"{step} ({cause})" for step, cause, _ in watch.steps()],
            "steps_in_metrics": all(count >= 1 for count in counted.values()) and bool(counted)}


def faults(name, ledger, figures):
    """Targets that were missed, in words."""
    found = [f"{name}: {text}" for text in ledger.complaints()]
    if figures["errors"]:
        found.append(f"{name}: errors {figures['errors']}")
    if figures["serves_after_s"] is None:
        found.append(f"{name}: no step of a plan was seen, or nothing served after it")
    elif max(figures["serves_after_s"], figures["silence_s"]) > SERVES_WITHIN:
        found.append(f"{name}: a plan served {figures['serves_after_s']:.2f} s after the failure, and clients waited {figures['silence_s']:.2f} s")
    if figures["as_asked_after_s"] is None:
        found.append(f"{name}: the plan that was asked for did not come back")
    if not figures["steps_in_metrics"]:
        found.append(f"{name}: the steps {figures['steps']} are not all in the metrics")
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=14)
    parser.add_argument("--share", type=float, default=0.5)
    parser.add_argument("--texts", type=int, default=8, help="texts a request")
    parser.add_argument("--pool", type=int, default=2048, help="texts in all")
    parser.add_argument("--forms", default=",".join(FORMS))
    arguments = parser.parse_args()
    names = arguments.forms.split(",")
    if strange := [name for name in names if name not in FORMS]:
        parser.error(f"no such form: {', '.join(strange)}; there are {', '.join(FORMS)}")
    texts = Texts(arguments.pool, arguments.texts, precision="fp32")
    results, missed, rows = {}, [], []
    for name in names:
        for what in ("killed", "fault"):
            ledger, figures = trial(FORMS[name], texts, arguments.share, arguments.seconds, what == "fault")
            results[f"{name} {what}"] = figures
            missed += faults(f"{name} {what}", ledger, figures)
            shown = {key: "never" if figures[key] is None else f"{figures[key]:.2f}" for key in ("serves_after_s", "silence_s", "as_asked_after_s")}
            rows.append([f"{name}, {what}", figures["requests"], figures["lost"], figures["twice"], figures["wrong"], sum(figures["errors"].values()),
                         figures["p50_ms"], figures["p99_ms"], *shown.values(), " > ".join(figures["steps"])])
    table("Devices that share a model, and one of them or their worker ends",
          ["", "requests", "lost", "twice", "wrong", "errors", "p50 ms", "p99 ms", "serves s", "silence s", "as asked s", "steps"], rows)
    for text in missed:
        print(f"  missed: {text}")
    report("plan_failures", {"forms": results, "missed": missed, "load_average": os.getloadavg()})
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
