#!/usr/bin/env python3
"""The C kernels of the CPU fast path against numpy in float64, over random shapes, formats, CPU features and threads.

    fuzz_kernels.py [--seconds 20] [--seed N] [--sanitizer none|address|thread] [--compiler clang]

Builds Sources/CApusKernels as one library in a temporary folder, with the sanitizer if one is named (clang brings the sanitizers' run times), and
calls it as ONNX Runtime's operators do: packed weights shared by several threads, each with rows of its own. Checked in every round: the error of
every row against float64; that rows computed alone, together and on another thread are the same to the bit; that hostile arguments are refused.
First comes attention for every length from 1 to 512. Ends with status 1 and the seed of the round at the first wrong result.
"""
import argparse
import ctypes
import math
import os
import pathlib
import subprocess
import sys
import tempfile
import threading
import time

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parent.parent
FORMATS = {"fp32": 0, "bf16": 1, "int8": 2}
# The largest error of a row, relative to its length. bf16 keeps 8 bits of what it multiplies; int8 rounds to 1/127 of the largest of 32 weights
# and of 128 activations.
TOLERANCE = {"fp32": 2e-5, "bf16": 8e-3, "int8": 2.5e-2}
# Where scores are products of 8-bit significands, weights of a softmax are a few hundredths off at the largest of them.
ATTENTION_TOLERANCE = {"fp32": 2e-5, "bf16": 3e-2, "int8": 3e-2}
ACTIVATIONS = ["none", "gelu", "gelu_tanh", "relu", "silu", "tanh", "sigmoid"]
AVX2, AVX512, VNNI, BF16, AVX_VNNI = 1, 2, 4, 8, 128
MASKS = {"all": 0xFFFFFFFF, "avx512": AVX2 | AVX512, "avx512-vnni": AVX2 | AVX512 | VNNI, "avx2": AVX2, "avx-vnni": AVX2 | AVX_VNNI, "plain": 0}
OK, BAD_ARGUMENT, BAD_BLOB = 0, 1, 2


def build(folder, compiler, sanitizer):
    library = folder / f"kernels-{sanitizer}.so"
    sources = sorted((ROOT / "Sources/CApusKernels").glob("*.c"))
    options = [] if sanitizer == "none" else [f"-fsanitize={sanitizer}" + (",undefined" if sanitizer == "address" else ""), "-g",
                                              "-shared-libsan", "-fno-sanitize-recover=all"]
    subprocess.run([compiler, "-std=c11", "-O2", "-fPIC", "-shared", "-Wall", "-Werror", *options,
                    f"-I{ROOT / 'Sources/CApusKernels/include'}", *map(str, sources), "-lm", "-o", str(library)], check=True)
    return library


def runtime(compiler, sanitizer):
    name = {"address": "asan", "thread": "tsan"}[sanitizer]
    machine = os.uname().machine
    for spelling in (f"libclang_rt.{name}-{machine}.so", f"libclang_rt.{name}.so"):
        path = subprocess.run([compiler, f"-print-file-name={spelling}"], stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
        if pathlib.Path(path).is_absolute():
            if sanitizer == "thread" and (dispatch := pathlib.Path(path).parents[4] / "swift/linux/libdispatch.so").exists():
                return f"{path} {dispatch}"  # Swift's run time of this sanitizer watches libdispatch too
            return path
    sys.exit(f"{compiler} has no run time of the {sanitizer} sanitizer for {machine}")


class Kernels:
    def __init__(self, library):
        self.c = ctypes.CDLL(str(library))
        self.libc = ctypes.CDLL(None)
        for name in ("linear_bytes", "linear_scratch", "feed_forward_scratch", "self_attention_scratch", "attention_scratch", "table_bytes"):
            getattr(self.c, f"apus_{name}").restype = ctypes.c_size_t
        self.libc.free.argtypes = [ctypes.c_void_p]

    def memory(self, size):
        """Exactly `size` bytes at a multiple of 64, so that a sanitizer sees the first byte beyond."""
        address = ctypes.c_void_p()
        if self.libc.posix_memalign(ctypes.byref(address), ctypes.c_size_t(64), ctypes.c_size_t(max(1, size))):
            raise MemoryError
        return Block(self, address)

    def call(self, name, *arguments):
        return getattr(self.c, f"apus_{name}")(*[convert(argument) for argument in arguments])

    def must(self, name, *arguments):
        status = self.call(name, *arguments)
        if status != OK:
            raise AssertionError(f"apus_{name} answered {status}")

    def linear(self, format, weight):
        n, k = weight.shape
        size = self.call("linear_bytes", format, I64(n), I64(k))
        blob = self.memory(size)
        self.must("linear_begin", format, I64(n), I64(k), blob)
        self.must("linear_pack_rows", blob, I64(0), I64(n), weight)
        blob.size = size
        return blob

    def table(self, format, values):
        rows, width = values.shape
        blob = self.memory(self.call("table_bytes", format, I64(rows), I64(width)))
        self.must("table_begin", format, I64(rows), I64(width), blob)
        self.must("table_pack_rows", blob, I64(0), I64(rows), values)
        return blob


class Block:
    def __init__(self, kernels, address):
        self.kernels, self.address = kernels, address

    def __del__(self):
        self.kernels.libc.free(self.address)


I64, F32 = ctypes.c_int64, ctypes.c_float


def convert(argument):
    if isinstance(argument, Block):
        return argument.address
    if isinstance(argument, np.ndarray):
        return ctypes.c_void_p(argument.ctypes.data)
    return argument


def activated(name, x):
    erf = np.vectorize(math.erf)
    with np.errstate(over="ignore"):
        return {"none": lambda: x, "gelu": lambda: x / 2 * (1 + erf(x / math.sqrt(2))),
                "gelu_tanh": lambda: x / 2 * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x ** 3))),
                "relu": lambda: np.maximum(x, 0), "silu": lambda: x / (1 + np.exp(-x)), "tanh": lambda: np.tanh(x),
                "sigmoid": lambda: 1 / (1 + np.exp(-x))}[name]()


def normed(x, gamma, beta, epsilon):
    centred = x - x.mean(1, keepdims=True)
    return centred / np.sqrt((centred ** 2).mean(1, keepdims=True) + epsilon) * gamma + beta


def norm_length(x, expected):
    """What an error behind a norm is measured by: the norm enlarges the error of a row of little variance."""
    return np.maximum(np.linalg.norm(expected, axis=1), math.sqrt(x.shape[1])) / np.minimum(1, x.std(1) + 1e-9)


def attended(q, k, v, heads, scale, bias, starts):
    size, result = q.shape[1] // heads, np.zeros_like(v)
    for start, end in zip(starts[:-1], starts[1:]):
        for head in range(heads):
            at = slice(head * size, (head + 1) * size)
            scores = q[start:end, at] @ k[start:end, at].T * scale
            if bias is not None:
                scores = scores + bias[head, :end - start, :end - start]
            weights = np.exp(scores - scores.max(1, keepdims=True))
            result[start:end, at] = weights / weights.sum(1, keepdims=True) @ v[start:end, at]
    return result


class Round:
    """One random case of every kernel."""

    def __init__(self, kernels, seed):
        self.kernels, self.seed, self.random = kernels, seed, np.random.Generator(np.random.PCG64(seed))
        self.format = self.pick(list(FORMATS))
        self.mask = self.pick(list(MASKS))
        kernels.call("cpu_allow", ctypes.c_uint32(MASKS[self.mask]))

    def pick(self, choices):
        return choices[int(self.random.integers(len(choices)))]

    def number(self, low, high):
        """Small numbers as often as large ones: tails are where kernels go wrong."""
        return int(round(math.exp(self.random.uniform(math.log(low), math.log(high)))))

    def floats(self, *shape):
        return self.random.standard_normal(shape).astype(np.float32)

    def weight(self, n, k):
        return np.ascontiguousarray(self.floats(n, k) / np.float32(math.sqrt(k)))

    def norm(self, h):
        return 1 + 0.2 * self.floats(h), 0.2 * self.floats(h)

    def compare(self, what, result, expected, length=None, tolerance=TOLERANCE):
        """`length`: what the error is measured by; the length of the expected row unless it is small for other reasons."""
        if not np.isfinite(result).all():
            raise AssertionError(f"{what}: not finite")
        length = np.linalg.norm(expected, axis=1) if length is None else length
        error = np.linalg.norm(result - expected, axis=1) / np.maximum(length, 1e-6)
        if error.max() > tolerance[self.format]:
            raise AssertionError(f"{what} {self.format} {self.mask} {result.shape}: a row's relative error is {error.max():.2e}")
        WORST[what, self.format] = max(WORST.get((what, self.format), 0.0), float(error.max()))

    def same(self, what, run, rows, whole):
        """Some rows alone, and all of them on two more threads at once, are the same to the bit."""
        first = int(self.random.integers(rows))
        some = int(self.random.integers(1, rows - first + 1))
        if not np.array_equal(run(first, some), whole[first:first + some]):
            raise AssertionError(f"{what} {self.format} {self.mask}: rows {first}+{some} of {rows} differ from the same rows in the batch")
        results = [None, None]
        threads = [threading.Thread(target=lambda i=i: results.__setitem__(i, run(0, rows))) for i in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if any(result is None or not np.array_equal(result, whole) for result in results):
            raise AssertionError(f"{what} {self.format} {self.mask}: another thread computed something else")

    def linear(self):
        m, n, k = self.number(1, 150), self.number(1, 700), self.number(1, 1600)
        weight, bias, x = self.weight(n, k), self.floats(n) if self.random.random() < 0.8 else None, self.floats(m, k)
        activation = self.pick(ACTIVATIONS)
        blob = self.kernels.linear(FORMATS[self.format], weight)

        def run(first, rows):
            part, y = np.ascontiguousarray(x[first:first + rows]), np.empty((rows, n), np.float32)
            scratch = self.kernels.memory(self.kernels.call("linear_scratch", blob, I64(rows)))
            self.kernels.must("linear", blob, bias, ACTIVATIONS.index(activation), part, I64(rows), y, scratch)
            return y
        whole = run(0, m)
        product = x.astype(np.float64) @ weight.astype(np.float64).T + (0 if bias is None else bias)
        # By the length that products of these operands have, since sums may cancel.
        length = np.linalg.norm(x, axis=1) * np.linalg.norm(weight) / math.sqrt(k) + np.linalg.norm(product, axis=1)
        self.compare("linear", whole, activated(activation, product), length)
        self.same("linear", run, m, whole)

    def feed_forward(self):
        m, h, inner = self.number(1, 120), self.number(8, 400), self.number(8, 1600)
        w1, w2 = self.weight(inner, h), self.weight(h, inner)
        b1, b2, (gamma, beta), x = self.floats(inner) * 0.1, self.floats(h) * 0.1, self.norm(h), self.floats(m, h)
        activation = self.pick(ACTIVATIONS)
        up, down = (self.kernels.linear(FORMATS[self.format], w) for w in (w1, w2))

        def run(first, rows):
            part, y = np.ascontiguousarray(x[first:first + rows]), np.empty((rows, h), np.float32)
            scratch = self.kernels.memory(self.kernels.call("feed_forward_scratch", up, down, I64(rows)))
            self.kernels.must("feed_forward", up, b1, ACTIVATIONS.index(activation), down, b2, gamma, beta, F32(1e-6), part, I64(rows), y, scratch)
            return y
        whole = run(0, m)
        wide = x.astype(np.float64)
        inner_values = activated(activation, wide @ w1.astype(np.float64).T + b1)
        summed = wide + inner_values @ w2.astype(np.float64).T + b2
        expected = normed(summed, gamma, beta, 1e-6)
        self.compare("feed_forward", whole, expected, norm_length(summed, expected))
        self.same("feed_forward", run, m, whole)

    def sequences(self):
        lengths = [self.number(1, 200) for _ in range(self.number(1, 6))]
        return np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)

    def bias(self, heads, starts):
        if self.random.random() < 0.6:
            return None
        size = int(np.diff(starts).max()) + int(self.random.integers(3))
        return np.ascontiguousarray(self.floats(heads, size, size))

    def self_attention(self):
        heads, size, starts = self.number(1, 12), 8 * self.number(1, 12), self.sequences()
        h, t = heads * size, int(starts[-1])
        wqkv, wo, bqkv, bo = self.weight(3 * h, h), self.weight(h, h), self.floats(3 * h) * 0.1, self.floats(h) * 0.1
        (gamma, beta), x, bias, scale = self.norm(h), self.floats(t, h), self.bias(heads, starts), 1 / math.sqrt(size)
        qkv, out = (self.kernels.linear(FORMATS[self.format], w) for w in (wqkv, wo))

        def run(first, count):
            rows = slice(starts[first], starts[first + count])
            part, own = np.ascontiguousarray(x[rows]), np.ascontiguousarray(starts[first:first + count + 1] - starts[first])
            y = np.empty_like(part)
            scratch = self.kernels.memory(self.kernels.call("self_attention_scratch", qkv, out, I64(heads), own, I64(count)))
            self.kernels.must("self_attention", qkv, bqkv, out, bo, I64(heads), F32(scale), bias, I64(0 if bias is None else bias.shape[1]),
                              gamma, beta, F32(1e-6), part, own, I64(count), y, scratch)
            return y
        count = len(starts) - 1
        whole = run(0, count)
        wide = x.astype(np.float64)
        q, k, v = np.split(wide @ wqkv.astype(np.float64).T + bqkv, 3, axis=1)
        mixed = attended(q, k, v, heads, scale, bias, starts)
        summed = wide + mixed @ wo.astype(np.float64).T + bo
        expected = normed(summed, gamma, beta, 1e-6)
        self.compare("self_attention", whole, expected, norm_length(summed, expected))
        first = int(self.random.integers(count))
        if not np.array_equal(run(first, 1), whole[starts[first]:starts[first + 1]]):
            raise AssertionError(f"self_attention {self.format} {self.mask}: a sequence alone differs from the same one in its batch")

    def attention(self, starts=None, heads=None):
        starts = self.sequences() if starts is None else starts
        heads, size = heads or self.number(1, 8), 8 * self.number(1, 16)
        h, t = heads * size, int(starts[-1])
        q, k, v = self.floats(t, h), self.floats(t, h), self.floats(t, h)
        bias, scale, y = self.bias(heads, starts), 1 / math.sqrt(size), np.empty((t, h), np.float32)
        arithmetic = FORMATS[self.format]
        scratch = self.kernels.memory(self.kernels.call("attention_scratch", arithmetic, I64(heads), I64(size), starts, I64(len(starts) - 1)))
        self.kernels.must("attention", arithmetic, I64(heads), I64(size), F32(scale), bias, I64(0 if bias is None else bias.shape[1]), q, k, v,
                          I64(h), starts, I64(len(starts) - 1), y, I64(h), scratch)
        expected = attended(*(part.astype(np.float64) for part in (q, k, v)), heads, scale, bias, starts)
        # A softmax over many rows averages them away: an error is measured by the length of the rows that are averaged.
        self.compare("attention", y, expected, np.maximum(np.linalg.norm(expected, axis=1), 0.3 * math.sqrt(h)), ATTENTION_TOLERANCE)

    def embed(self):
        width, words, positions, t = self.number(1, 500), self.number(1, 300), self.number(1, 80), self.number(1, 100)
        tables = [self.floats(rows, width) for rows in (words, positions, 2)]
        blobs = [self.kernels.table(FORMATS[self.format], table) for table in tables]
        ids = [self.random.integers(0, len(table), t).astype(np.int32) for table in tables]
        (gamma, beta), y = self.norm(width), np.empty((t, width), np.float32)
        self.kernels.must("embed", *blobs, gamma, beta, F32(1e-5), *ids, I64(t), y)
        summed = sum(table.astype(np.float64)[i] for table, i in zip(tables, ids))
        expected = normed(summed, gamma, beta, 1e-5)
        self.compare("embed", y, expected, norm_length(summed, expected))
        ids[0][-1] = words
        if self.kernels.call("embed", *blobs, gamma, beta, F32(1e-5), *ids, I64(t), y) != BAD_ARGUMENT:
            raise AssertionError("embed took an id outside its table")

    def pool(self):
        h, starts = self.number(1, 500), self.sequences()
        x, format = self.floats(int(starts[-1]), h), self.format
        self.format = "fp32"
        for mode in range(6):
            y = np.empty((len(starts) - 1, h), np.float32)
            self.kernels.must("pool", mode, x, I64(h), starts, I64(len(starts) - 1), y)
            parts = [x[a:b].astype(np.float64) for a, b in zip(starts[:-1], starts[1:])]
            weights = [np.arange(1, len(part) + 1)[:, None] for part in parts]
            expected = np.stack([
                {0: lambda: p.mean(0), 1: lambda: p[0], 2: lambda: p[-1], 3: lambda: p.max(0), 4: lambda: p.sum(0) / math.sqrt(len(p)),
                 5: lambda: (p * w).sum(0) / w.sum()}[mode]() for p, w in zip(parts, weights)])
            self.compare("pool", y, expected, np.maximum(np.linalg.norm(expected, axis=1), math.sqrt(h)))
        self.format = format

    def hostile(self):
        """What is no blob, is cut short or has sizes that do not fit is refused."""
        k, n = self.number(1, 300), self.number(1, 300)
        blob = self.kernels.linear(FORMATS[self.format], self.weight(n, k))
        sizes = ctypes.c_int64(), ctypes.c_int64()
        check = lambda size: self.kernels.call("linear_check", blob, ctypes.c_size_t(size), *map(ctypes.byref, sizes))
        if check(blob.size) != OK or (sizes[0].value, sizes[1].value) != (n, k):
            raise AssertionError("a whole blob was refused")
        if check(int(self.random.integers(0, blob.size))) != BAD_BLOB:
            raise AssertionError("a blob that was cut short was taken")
        if self.kernels.call("linear_bytes", FORMATS[self.format], I64(2 ** 62), I64(2 ** 40)) != 0:
            raise AssertionError("sizes that overflow were taken")
        weight = self.weight(n, k)
        weight[int(self.random.integers(n)), int(self.random.integers(k))] = self.pick([np.nan, np.inf, -np.inf])
        if self.format == "int8" and self.kernels.call("linear_pack_rows", blob, I64(0), I64(n), weight) != BAD_ARGUMENT:
            raise AssertionError("a value that is not finite was quantised")
        # Whatever its header says, a checked blob is safe to use and a wrong one is refused.
        header = (ctypes.c_uint8 * 64).from_address(blob.address.value)
        header[int(self.random.integers(64))] ^= 1 << int(self.random.integers(8))
        if check(blob.size) == OK:
            x, y = self.floats(2, sizes[1].value), np.empty((2, sizes[0].value), np.float32)
            scratch = self.kernels.memory(self.kernels.call("linear_scratch", blob, I64(2)))
            self.kernels.call("linear", blob, None, 0, x, I64(2), y, scratch)

    def run(self):
        for case in (self.linear, self.feed_forward, self.self_attention, self.attention, self.embed, self.pool, self.hostile):
            case()


WORST = {}


def every_length(kernels, seed, masks):
    """Attention for sequences of each length from 1 to 512, in every format."""
    starts = np.concatenate([[0], np.cumsum(np.arange(1, 513))]).astype(np.int32)
    for format in FORMATS:
        for mask in masks:
            case = Round(kernels, seed)
            case.format, case.mask = format, mask
            kernels.call("cpu_allow", ctypes.c_uint32(MASKS[mask]))
            case.bias = lambda heads, starts: None
            case.number = lambda low, high: 1
            case.attention(starts, heads=1)


def fuzz(arguments):
    kernels = Kernels(arguments.library)
    end, rounds, seed = time.monotonic() + arguments.seconds, 0, arguments.seed
    try:
        every_length(kernels, seed, MASKS if arguments.sanitizer == "none" else ["all"])
        while time.monotonic() < end or rounds < 12:
            seed = arguments.seed + rounds
            Round(kernels, seed).run()
            rounds += 1
    except AssertionError as error:
        sys.exit(f"seed {seed}: {error}")
    worst = ", ".join(f"{what} {format} {error:.1e}" for (what, format), error in sorted(WORST.items()))
    print(f"{rounds} rounds, sanitizer {arguments.sanitizer}, features {kernels.c.apus_cpu_features():#x}; largest relative errors: {worst}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--sanitizer", choices=["none", "address", "thread"], default="none")
    parser.add_argument("--compiler", default="clang")
    parser.add_argument("--library", type=pathlib.Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.library:
        fuzz(arguments)
        return 0
    with tempfile.TemporaryDirectory() as folder:
        library = build(pathlib.Path(folder), arguments.compiler, arguments.sanitizer)
        environment = dict(os.environ, OPENBLAS_NUM_THREADS="1")
        if arguments.sanitizer != "none":
            # Python itself keeps memory to its end, and numpy's products are not what is looked at.
            environment |= {"LD_PRELOAD": runtime(arguments.compiler, arguments.sanitizer), "PYTHONMALLOC": "malloc",
                            "ASAN_OPTIONS": "detect_leaks=0", "TSAN_OPTIONS": "halt_on_error=1"}
        return subprocess.run([sys.executable, __file__, *sys.argv[1:], "--library", str(library)], env=environment).returncode


if __name__ == "__main__":
    sys.exit(main())
