#!/usr/bin/env python3
"""A page to look at: latency against load, and the adaptive scheduler over time. Writes report.html beside the other results.

    report.py [--seconds 8] [--texts 1] [--deadline-ms 2000] [--output FILE] [--quick] [--devices LIST] [--set KEY=VALUE]

Latency against load is measured here: open-loop, in steps up to 1.5 times the peak that a closed loop of 64 clients gets, one short text a
request. The adaptive run is the one that adaptive.py left among the results; it is run when there is none. Exit status 1 when an answer was
lost, came twice or was wrong.
"""
import argparse
import html
import json
import os
import pathlib
import platform
import subprocess
import sys
import time

from harness import SCRATCH, THREADS, report, table

from configured_server import ConfiguredServer, add_server_arguments, asked_precision, server_arguments
from kill_workers import Processors
from open_loop import OpenLoop, closed_loop
from svg_chart import STYLE, Chart
from traffic import Requests, Traffic

STEPS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.25, 1.5)
QUICK_STEPS = (0.2, 0.5, 0.8, 1.0, 1.25, 1.5)

PAGE_STYLE = STYLE + """
body { background: var(--paper); color: var(--ink); font: 15px/1.5 system-ui, sans-serif; max-width: 900px; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; margin-bottom: .2rem; } h2 { font-size: 1.15rem; margin-top: 2.4rem; }
.faint { color: var(--faint); } figure { margin: 1.2rem 0; }
.scroll { overflow-x: auto; } table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: 13px; }
th, td { padding: .25rem .7rem; text-align: right; border-bottom: 1px solid var(--grid); white-space: nowrap; } th:first-child, td:first-child { text-align: left; }
"""


def latency_against_load(arguments, steps, seconds):
    """The peak in requests a second, and figures of each step of the load."""
    requests = Requests.of("short", 8000, arguments.texts, precision=asked_precision(arguments))
    rows = []
    with ConfiguredServer(dict(arguments.settings), *server_arguments(arguments)) as server:
        closed_loop(server.port, requests, 64, 1.0)
        peak = closed_loop(server.port, requests, 64, max(3.0, seconds / 2))[0] / requests.size
        for share in steps:
            traffic = Traffic("load", requests, phases=((seconds, share * peak),), deadline=arguments.deadline_ms / 1e3)
            processors = Processors(server)
            before = processors.look()
            loop = OpenLoop(server.port, traffic).run()
            others = processors.others(before, processors.look())
            rows.append({"share": share} | loop.figures(traffic, seconds / 8) | {"complaints": loop.complaints(), "doubts": loop.doubts(),
                                                                                "generator_cpu_share": loop.cpu_share, "others_cpu_share": others})
    return peak, rows


def adaptive_results(quick, arguments):
    """What adaptive.py found, and when."""
    path = SCRATCH / "adaptive.json"
    if not path.exists():
        command = [sys.executable, pathlib.Path(__file__).with_name("adaptive.py"), *(["--quick"] if quick else []), *server_arguments(arguments)]
        subprocess.run([*command, *(part for key, value in arguments.settings for part in ("--set", f"{key}={json.dumps(value)}"))], stdout=sys.stderr)
    if not path.exists():
        return None, None
    return json.loads(path.read_text()), path.stat().st_mtime


def load_charts(peak, rows):
    offered = [row["offered_per_s"] for row in rows]
    latency = Chart("Latency against offered load", "offered load, requests/s", "latency, ms (log)", log_y=True, height=360)
    for name in ("p50", "p95", "p99"):
        latency.line(name, list(zip(offered, (row[f"{name}_ms"] for row in rows))))
    answers = Chart("What became of the requests", "offered load, requests/s", "requests/s", height=300)
    answers.line("answered in time", list(zip(offered, (row["goodput_per_s"] for row in rows))))
    spans = [row["requests"] / row["offered_per_s"] if row["requests"] else 1 for row in rows]
    answers.line("refused or expired", list(zip(offered, (sum(row["refused"].values()) / span for row, span in zip(rows, spans)))))
    answers.line("offered", [(value, value) for value in offered], dots=False)
    return [chart.moment("peak of a closed loop", peak).svg() for chart in (latency, answers)]


def adaptive_charts(result):
    figures, target = result["adaptive"], result["target_ms"]
    end = sum(seconds for seconds, _ in result["phases"])
    changes = [sum(seconds for seconds, _ in result["phases"][:number]) for number in range(1, len(result["phases"]))]
    load = Chart("Load", "seconds", "requests/s", height=240, x_range=(0, end))
    load.line("offered", [(row["second"] + 0.5, row["offered_per_s"]) for row in figures["seconds"]], dots=False)
    load.line("answered", [(row["second"] + 0.5, row["answered_per_s"]) for row in figures["seconds"]], dots=False)
    latency = Chart("Latency of the requests due in each second", "seconds", "latency, ms (log)", log_y=True, height=300, x_range=(0, end))
    for name in ("p50", "p95"):
        latency.line(name, [(row["second"] + 0.5, row[f"{name}_ms"]) for row in figures["seconds"]], dots=False)
    latency.level("target", target).level("1.2 times the target", 1.2 * target)
    size = Chart("Batches", "seconds", "tokens", height=240, x_range=(0, end))
    for name, key in (("a batch may hold", "budget"), ("the mean batch of each second", "tokens")):
        size.line(name, [(row["second"], row.get(key)) for row in figures["batches"] if row["second"] <= end], dots=False)
    for chart in (load, latency, size):
        for at in changes:
            chart.moment("", at)
    return [chart.svg() for chart in (load, latency, size)]


def html_table(header, rows):
    cells = "".join(f"<th>{html.escape(cell)}</th>" for cell in header)
    body = "".join("<tr>" + "".join(f"<td>{html.escape(str(cell))}</td>" for cell in row) + "</tr>" for row in rows)
    return f'<div class="scroll"><table><thead><tr>{cells}</tr></thead><tbody>{body}</tbody></table></div>'


def load_rows(rows):
    return [[f"{row['share']:.0%}", f"{row['offered_per_s']:.1f}", f"{row['goodput_per_s']:.1f}", sum(row["refused"].values()),
             *(milliseconds(row[f"{name}_ms"]) for name in ("p50", "p95", "p99")), milliseconds(row["late_p99_ms"]), f"{row['others_cpu_share']:.0%}"]
            for row in rows]


def milliseconds(value):
    return "" if value is None else f"{value:.1f}"


LOAD_HEADER = ["of peak", "offered/s", "in time/s", "refused", "p50 ms", "p95 ms", "p99 ms", "sent late p99 ms", "others' cpu"]


def page(arguments, peak, rows, adaptive, measured):
    doubts = [doubt for row in rows for doubt in row["doubts"]]
    figures = "".join(f"<figure>{chart}</figure>" for chart in load_charts(peak, rows))
    parts = [f"<h1>Apus: latency, load and batches</h1><p class=\"faint\">{html.escape(platform.machine())}, {THREADS} cores, "
             f"{time.strftime('%Y-%m-%d %H:%M')}. One generator on the same machine; latency counts from when a request was due.</p>",
             f"<h2>Latency against load</h2><p>{arguments.texts} short text{'s' if arguments.texts > 1 else ''} a request, Poisson arrivals, deadline "
             f"{arguments.deadline_ms:g} ms. Latencies are those of right answers; what was refused or expired is in the second chart.</p>", figures,
             html_table(LOAD_HEADER, load_rows(rows))]
    if doubts:
        parts.append("<ul>" + "".join(f"<li>{html.escape(doubt)}</li>" for doubt in doubts) + "</ul>")
    if adaptive:
        parts += [f"<h2>The adaptive scheduler</h2><p>The load triples and falls back; the scheduler is told to keep {adaptive['target_ms']:g} ms. "
                  f"Measured {time.strftime('%Y-%m-%d %H:%M', time.localtime(measured))}.</p>",
                  "".join(f"<figure>{chart}</figure>" for chart in adaptive_charts(adaptive)),
                  html_table(["", *[f"phase {number + 1}: answered/s" if part == "answered" else "p95 ms" for number in range(len(adaptive["phases"]))
                                    for part in ("answered", "p95")]],
                             [[name, *[cell for row in figures["phases"] for cell in (f"{row['answered_per_s']:.1f}", milliseconds(row["p95_ms"]))]]
                              for name, figures in {"adaptive": adaptive["adaptive"], **{f"{size} rows": other for size, other in adaptive["fixed"].items()}}.items()])]
    return ("<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">"
            f"<title>Apus: latency, load and batches</title><style>{PAGE_STYLE}</style></head><body>" + "\n".join(parts) + "</body></html>\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=8, help="seconds a step")
    parser.add_argument("--texts", type=int, default=1, help="texts a request")
    parser.add_argument("--deadline-ms", type=float, default=2000)
    parser.add_argument("--output", type=pathlib.Path, default=SCRATCH / "report.html")
    parser.add_argument("--quick", action="store_true", help="three seconds a step, six steps")
    add_server_arguments(parser)
    arguments = parser.parse_args()
    steps, seconds = (QUICK_STEPS, min(3.0, arguments.seconds)) if arguments.quick else (STEPS, arguments.seconds)
    peak, rows = latency_against_load(arguments, steps, seconds)
    adaptive, measured = adaptive_results(arguments.quick, arguments)
    table(f"Latency against load, {arguments.texts} short text(s) a request, peak {peak:.1f} requests/s", LOAD_HEADER, load_rows(rows))
    missed = [complaint for row in rows for complaint in row["complaints"]]
    if adaptive is None:
        missed.append("there is no adaptive run to draw")
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.write_text(page(arguments, peak, rows, adaptive, measured), encoding="utf-8")
    for text in [doubt for row in rows for doubt in row["doubts"]]:
        print(f"  doubt: {text}")
    for text in missed:
        print(f"  missed: {text}")
    print(f"  the page is {arguments.output}")
    report("latency_against_load", {"peak": peak, "texts_a_request": arguments.texts, "deadline_ms": arguments.deadline_ms, "steps": rows,
                                    "load_average": os.getloadavg(), "missed": missed})
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
