#!/usr/bin/env python3
"""What memory a model takes whole, in segments, in chunks, and with one segment's weights in memory at a time.

    segments.py [--model DIR] [--texts 64] [--length 256] [--segments 6] [--chunk 512] [--styles fused,kernels] [--passes 1]

Each way of running is a process of its own, which computes one batch of random tokens in fp32 on one lane. `loaded` is what the model takes of
the process's own memory (pages of the mapped checkpoint, which the system can take back, are not counted), `peak` the most while the batch
runs, both beyond a process without a model. `halves` is the graph cut in two with nothing else changed. Targets: four times the batch in
chunks within the whole model's peak, and weights read in segments within 2/K of the whole's, where one segment is in memory at a time; the
vectors of every way have a cosine of 0.99999 or more to the whole's. Ends with status 1 where one is missed.

make_base_model.py writes a model of BERT-base's shape.
"""
import argparse
import array
import json
import math
import pathlib
import subprocess
import sys
import tempfile

from harness import BINARY, MODEL_DIRECTORY, ROOT, table

PROGRAM = BINARY.parent / "SegmentBenchmark"
FLOOR = 0.99999


def run(options, style, texts, output, segments=None, residency="resident", chunk=1 << 30):
    command = [str(options.program), "--model", options.model, "--engine", options.engine, "--style", style, "--texts", str(texts),
               "--length", str(options.length), "--passes", str(options.passes), "--lanes", str(options.lanes), "--output", str(output)]
    if segments:
        command += ["--segments", str(segments), "--residency", residency, "--chunk", str(chunk)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(done.stderr.strip() or f"{command} failed")
    vectors = array.array("f")
    vectors.frombytes(output.read_bytes())
    return json.loads(done.stdout), vectors


def lowest_cosine(vectors, expected, count):
    width = len(expected) // count
    lowest = 1.0
    for row in range(count):
        a, b = vectors[row * width:(row + 1) * width], expected[row * width:(row + 1) * width]
        dot = math.fsum(x * y for x, y in zip(a, b))
        lowest = min(lowest, dot / math.sqrt(math.fsum(x * x for x in a) * math.fsum(y * y for y in b)))
    return lowest


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default=str(MODEL_DIRECTORY))
    parser.add_argument("--engine", default=str(next((ROOT / ".apus/engine/lib").glob("libonnxruntime.so.*"), "")))
    parser.add_argument("--program", type=pathlib.Path, default=PROGRAM)
    parser.add_argument("--texts", type=int, default=64)
    parser.add_argument("--length", type=int, default=256)
    parser.add_argument("--segments", type=int, default=6)
    parser.add_argument("--chunk", type=int, default=512)
    parser.add_argument("--lanes", type=int, default=1)
    parser.add_argument("--passes", type=int, default=1)
    parser.add_argument("--styles", default="fused,kernels")
    options = parser.parse_args()
    missed = []
    with tempfile.TemporaryDirectory() as folder:
        output = pathlib.Path(folder) / "vectors"
        for style in options.styles.split(","):
            whole, expected = run(options, style, options.texts, output)
            count = options.segments
            ways = [
                ("whole", options.texts, (whole, expected)),
                ("halves", options.texts, run(options, style, options.texts, output, 2)),
                ("chunks", options.texts, run(options, style, options.texts, output, 1, "resident", options.chunk)),
                (f"{count} segments, chunks", options.texts, run(options, style, options.texts, output, count, "resident", options.chunk)),
                (f"{count} segments, one read", options.texts, run(options, style, options.texts, output, count, "offloaded", options.chunk)),
                (f"{count} segments, two read", options.texts, run(options, style, options.texts, output, count, "prefetched", options.chunk)),
                ("chunks, 4 x the batch", 4 * options.texts, run(options, style, 4 * options.texts, output, count, "resident", options.chunk)),
            ]
            rows = []
            for name, texts, (figures, vectors) in ways:
                activations = figures["peak_mib"] - whole["loaded_mib"]
                cosine = lowest_cosine(vectors, expected, options.texts)
                rows.append([name, texts, figures["loaded_mib"], figures["peak_mib"], f"{figures['peak_mib'] / whole['peak_mib']:.2f}",
                             f"{activations:.0f}" if "read" not in name else "", f"{texts * options.length / figures['seconds']:.0f}",
                             f"{cosine:.7f}"])
                if cosine < FLOOR:
                    missed.append(f"{style}, {name}: cosine {cosine}")
            if ways[-1][2][0]["peak_mib"] > whole["peak_mib"]:
                missed.append(f"{style}: four times the batch in chunks takes {ways[-1][2][0]['peak_mib']} of {whole['peak_mib']} MiB")
            table(f"{pathlib.Path(options.model).name}, {style}-fp32, {options.texts} x {options.length} tokens, MiB; load average "
                  f"{pathlib.Path('/proc/loadavg').read_text().split()[0]}",
                  ["", "texts", "loaded", "peak", "of whole", "activations", "tokens/s", "cosine"], rows)
            # A batch of one text shows what the weights alone take at most.
            alone, _ = run(options, style, 1, output)
            read, _ = run(options, style, 1, output, count, "offloaded", options.chunk)
            share = read["peak_mib"] / alone["peak_mib"]
            print(f"one text, weights: {alone['peak_mib']} MiB whole, {read['peak_mib']} MiB one of {count} segments at a time: {share:.2f} "
                  f"(2/K is {2 / count:.2f})")
            if share > 2 / count:
                missed.append(f"{style}: one segment at a time takes {share:.2f} of the whole, 2/K is {2 / count:.2f}")
    for line in missed:
        print("MISSED", line)
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
