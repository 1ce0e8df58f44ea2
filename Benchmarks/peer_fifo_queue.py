#!/usr/bin/env python3
"""The queue to beat: first in, first out, padded to the longest, over ONNX Runtime in this process, with a token budget.

    peer_fifo_queue.py --file TEXTS [--budget 384] [--waiting 64] [--lanes 2] [--passes 1] [--output VECTORS.npy]

How servers batch that keep one queue and pad (TEI for its padded models; Infinity without its sorting): the next batch takes texts in order of
arrival as long as their number times the longest fits the budget, always one. As many texts wait as clients would have out: each answer lets
one more in. One session with one thread for each lane, each lane a thread of this process; the engine does not hold Python's lock while it
computes. Everything in its favour: texts are tokenised together before the clock starts, and there is no server around it. Prints a JSON
object for each pass. Needs: onnxruntime, tokenizers, numpy; torch and transformers once, for the export.
"""
import argparse
import collections
import json
import threading
import time

import numpy as np

from harness import MAX_TOKENS, MODEL_DIRECTORY, THREADS

from peer_encoder import DIMENSIONS, export


class FirstInFirstOut:
    """Texts by number, of which at most `waiting` have come and have no answer yet."""

    def __init__(self, lengths, budget, waiting):
        self.lengths, self.budget = lengths, budget
        self.arrivals, self.line = iter(range(len(lengths))), collections.deque()
        self.lock = threading.Lock()
        self._arrive(waiting)

    def _arrive(self, count):
        self.line.extend(number for number, _ in zip(self.arrivals, range(count)))

    def take(self, answered):
        """The next batch for a lane that has just answered so many; empty when all is done."""
        with self.lock:
            self._arrive(answered)
            batch, longest = [], 0
            while self.line:
                longest = max(longest, self.lengths[self.line[0]])
                if batch and longest * (len(batch) + 1) > self.budget:
                    break
                batch.append(self.line.popleft())
            return batch


class Peer:
    def __init__(self, lanes):
        import onnxruntime
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        path = str(export())
        self.sessions = [onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"]) for _ in range(lanes)]

    def run(self, session, ids, result, batch):
        """Computes a batch of numbers of texts into `result`; (tokens, padding)."""
        width, tokens = max(len(ids[number]) for number in batch), sum(len(ids[number]) for number in batch)
        x = np.zeros((len(batch), width), np.int64)
        mask = np.zeros_like(x)
        for row, number in enumerate(batch):
            x[row, :len(ids[number])] = ids[number]
            mask[row, :len(ids[number])] = 1
        hidden = session.run(None, {"input_ids": x, "attention_mask": mask, "token_type_ids": np.zeros_like(x)})[0]
        pooled = (hidden * mask[..., None]).sum(1) / mask.sum(1, keepdims=True)
        result[batch] = pooled / np.linalg.norm(pooled, axis=1, keepdims=True)
        return tokens, x.size - tokens

    def serve(self, ids, budget, waiting):
        """All texts through the queue; (vectors, batches, tokens, padding, seconds)."""
        queue = FirstInFirstOut([len(row) for row in ids], budget, waiting)
        result, counts, troubles = np.zeros((len(ids), DIMENSIONS), np.float32), [], []

        def lane(session):
            try:
                batch = queue.take(0)
                while batch:
                    counts.append(self.run(session, ids, result, batch))
                    batch = queue.take(len(batch))
            except Exception as error:  # said by the main thread
                troubles.append(error)

        start = time.perf_counter()
        threads = [threading.Thread(target=lane, args=[session]) for session in self.sessions]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        seconds = time.perf_counter() - start
        if troubles:
            raise troubles[0]
        return result, len(counts), sum(tokens for tokens, _ in counts), sum(padding for _, padding in counts), seconds


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--file", required=True)
    parser.add_argument("--budget", type=int, default=384)
    parser.add_argument("--waiting", type=int, default=64)
    parser.add_argument("--lanes", type=int, default=THREADS)
    parser.add_argument("--passes", type=int, default=1)
    parser.add_argument("--output")
    arguments = parser.parse_args()
    with open(arguments.file, encoding="utf-8") as file:
        lines = file.read().removesuffix("\n").split("\n")
    from tokenizers import Tokenizer
    tokenizer = Tokenizer.from_file(str(MODEL_DIRECTORY / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(MAX_TOKENS)
    ids = [encoding.ids for encoding in tokenizer.encode_batch(lines)]
    peer = Peer(arguments.lanes)
    peer.serve(ids[:64], arguments.budget, arguments.waiting)
    for _ in range(arguments.passes):
        vectors, batches, tokens, padding, seconds = peer.serve(ids, arguments.budget, arguments.waiting)
        print(json.dumps({"peer": "fifo-padded", "texts": len(ids), "budget": arguments.budget, "batches": batches,
                          "rows_a_batch": round(len(ids) / batches, 2), "padding_share": round(padding / (padding + tokens), 4),
                          "seconds": round(seconds, 4), "texts_per_second": round(len(ids) / seconds, 2)}), flush=True)
    if arguments.output:
        np.save(arguments.output, vectors)


if __name__ == "__main__":
    main()
