#!/usr/bin/env python3
"""Makes two deterministic corpora from text that a Debian or Ubuntu machine can install.

    make_corpora.py [OUT]        (default: .apus/bench/corpora)

short.txt: every package synopsis that `apt-cache dumpavail` knows (about 60,000, mean 12 tokens).
mixed.txt: 20,000 passages of the Python manual's sources, lengths lognormal (mean 136 tokens when cut at 256).
Needs an up-to-date package list (apt-get update) and the Python manual (apt-get install python3-doc, on Debian 12 python3.11-doc).
"""
import glob
import pathlib
import random
import re
import subprocess
import sys

PASSAGES, SEED = 20_000, 20261121


def manual_words():
    files = sorted(glob.glob("/usr/share/doc/python3*/html/_sources/**/*.rst.txt", recursive=True))
    if not files:
        sys.exit("make_corpora: the Python manual is not installed; run: apt-get install python3-doc")
    words = []
    for name in files:
        text = pathlib.Path(name).read_text(encoding="utf-8", errors="ignore")
        words += re.sub(r"[`*:_=~^|-]{2,}", " ", text).split()
    return words


def passages(words, rng):
    cut, start = [], 0
    while start < len(words) and len(cut) < PASSAGES:
        length = int(min(340, max(5, rng.lognormvariate(4.2, 0.8))))
        cut.append(" ".join(words[start:start + length]))
        start += length
    rng.shuffle(cut)
    return cut


def synopses():
    try:
        dump = subprocess.run(["apt-cache", "dumpavail"], capture_output=True, check=True).stdout.decode("utf-8", "replace")
    except (OSError, subprocess.CalledProcessError) as error:
        sys.exit(f"make_corpora: apt-cache does not answer ({error}); the short corpus needs Debian or Ubuntu")
    found, current = [], None
    for line in dump.splitlines():
        if line.startswith(("Description-en:", "Description:")):
            current = line.split(":", 1)[1].strip()
        elif current is not None and line.startswith(" "):
            current += " " + line[1:].lstrip(".")
        elif current is not None:
            found.append(current)
            current = None
    if current is not None:
        found.append(current)
    if len(found) < 1000:
        sys.exit("make_corpora: apt-cache knows hardly any package; run: apt-get update")
    return sorted(set(found))


def main():
    root = pathlib.Path(__file__).resolve().parent.parent
    out = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else root / ".apus/bench/corpora"
    rng = random.Random(SEED)
    mixed = passages(manual_words(), rng)
    short = [line.strip() for line in synopses() if line.strip()]
    rng.shuffle(short)
    out.mkdir(parents=True, exist_ok=True)
    for name, lines in (("mixed", mixed), ("short", short)):
        (out / f"{name}.txt").write_text("\n".join(line.replace("\n", " ") for line in lines) + "\n", encoding="utf-8")
        print(f"{out / name}.txt: {len(lines)} texts")


if __name__ == "__main__":
    main()
