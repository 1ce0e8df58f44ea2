import json

import numpy as np
import pytest

import apus


def pytest_sessionstart(session):
    for path, remedy in ((apus.BINARY, "make build"), (apus.MODEL_DIRECTORY / "model.safetensors", "scripts/setup")):
        if not path.exists():
            raise pytest.UsageError(f"{path} is missing; run: {remedy}")


@pytest.fixture(scope="session")
def server():
    """One server with the default model for all tests that leave it as they found it."""
    with apus.Server() as running:
        yield running
        assert running.process.poll() is None, running.output()


@pytest.fixture(scope="session")
def exact():
    """The same in fp32, for numbers that are compared with the reference's to the last digits."""
    with apus.Server("--precision", "fp32") as running:
        yield running
        assert running.process.poll() is None, running.output()


@pytest.fixture(scope="session")
def golden():
    """Texts, token ids and fp32 vectors of the default model as sentence-transformers computes them."""
    document = json.loads((apus.MINILM / "texts.json").read_text(encoding="utf-8"))
    document["embeddings"] = np.load(apus.MINILM / "embeddings.npy")
    return document


def tiny_names():
    return sorted(folder.name for folder in apus.TINY.iterdir() if (folder / "golden.json").exists())


def pytest_generate_tests(metafunc):
    if "tiny_name" in metafunc.fixturenames:
        metafunc.parametrize("tiny_name", tiny_names())
