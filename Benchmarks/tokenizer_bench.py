"""Compares TokenizerBenchmark with Python's `tokenizers` (encode_batch, one thread), alternating in one run.

Usage: python Benchmarks/tokenizer_bench.py BINARY CORPORA TOKENIZER_JSON [TOKENIZER_JSON ...]
BINARY is the built TokenizerBenchmark; CORPORA holds short.txt and mixed.txt. Prints medians and ratios.
"""
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time

os.environ["RAYON_NUM_THREADS"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"

from tokenizers import Tokenizer, __version__  # noqa: E402

ROUNDS = 3


def peer_pass(tokenizer, texts):
    start = time.perf_counter()
    encodings = tokenizer.encode_batch(texts)
    seconds = time.perf_counter() - start
    return len(texts) / seconds, sum(len(e.ids) for e in encodings)


def main(binary, corpora, *files):
    print(f"tokenizers {__version__}, one thread each; texts per second, median of {ROUNDS} rounds")
    for file in files:
        tokenizer = Tokenizer.from_file(file)
        tokenizer.no_padding()
        tokenizer.no_truncation()
        for corpus in ("short", "mixed"):
            path = pathlib.Path(corpora, corpus + ".txt")
            texts = [line for line in path.read_text(encoding="utf-8").split("\n") if line]
            ours, peers = [], []
            for _ in range(ROUNDS):
                output = subprocess.run([binary, file, str(path), "3"], check=True, capture_output=True, text=True)
                record = json.loads(output.stdout)
                ours.append(record["texts_per_second"])
                rate, tokens = peer_pass(tokenizer, texts)
                peers.append(rate)
                if (record["texts"], record["tokens"]) != (len(texts), tokens):
                    sys.exit(f"different work: {record} against {len(texts)} texts, {tokens} tokens")
            mine, theirs = statistics.median(ours), statistics.median(peers)
            print(f"{pathlib.Path(file).name:24} {corpus:6} apus {mine:10,.0f}  tokenizers {theirs:10,.0f}  "
                  f"ratio {mine / theirs:5.2f}  load {record['load_ms']:.0f} ms")


if __name__ == "__main__":
    main(*sys.argv[1:])
