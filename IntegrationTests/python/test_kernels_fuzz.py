"""The kernels of the CPU fast path against numpy in float64, and under clang's sanitizers."""
import pathlib
import shutil
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]


def compiler():
    """The clang that came with Swift, which also brings the sanitizers' run times."""
    swift = shutil.which("swift")
    beside = pathlib.Path(swift).resolve().with_name("clang") if swift else None
    return str(beside) if beside and beside.exists() else shutil.which("clang")


@pytest.mark.parametrize("sanitizer", ["none", "address", "thread"])
def test_random_shapes_formats_features_and_threads_agree_with_float64(sanitizer):
    clang = compiler()
    assert clang, "clang was not found beside swift nor on the PATH"
    result = subprocess.run(
        [sys.executable, ROOT / "scripts/fuzz_kernels.py", "--seconds", "10", "--sanitizer", sanitizer, "--compiler", clang],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=600)
    assert result.returncode == 0, result.stdout[-4000:]
    assert f"sanitizer {sanitizer}" in result.stdout
