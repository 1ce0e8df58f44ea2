"""The `openai` package, unchanged, against Apus."""
import numpy as np
import openai
import pytest

import apus


@pytest.fixture(scope="module")
def client(exact):
    with openai.OpenAI(base_url=f"{exact.base}/v1", api_key="unused", max_retries=0) as made:
        yield made


def test_one_text_in_the_clients_default_base64(client, golden):
    answer = client.embeddings.create(model=apus.DEFAULT_MODEL, input=golden["texts"][0])
    assert answer.object == "list" and answer.model == apus.DEFAULT_MODEL
    assert answer.usage.prompt_tokens == answer.usage.total_tokens == golden["original_tokens"][0]
    cosine, difference = apus.agreement([answer.data[0].embedding], golden["embeddings"][:1])
    assert cosine >= 0.99999 and difference <= 1e-4


def test_batch_and_float(client, golden):
    texts = golden["texts"]
    default = client.embeddings.create(model=apus.DEFAULT_MODEL, input=texts, user="someone")
    floats = client.embeddings.create(model=apus.DEFAULT_MODEL, input=texts, encoding_format="float")
    assert [row.index for row in default.data] == list(range(len(texts)))
    for answer in (default, floats):
        cosine, difference = apus.agreement([row.embedding for row in answer.data], golden["embeddings"])
        assert cosine >= 0.99999 and difference <= 1e-4


def test_dimensions_and_token_ids(client, golden):
    answer = client.embeddings.create(model=apus.DEFAULT_MODEL, input=golden["input_ids"][:3], dimensions=64)
    assert np.array([row.embedding for row in answer.data]).shape == (3, 64)


def test_models(client):
    assert [model.id for model in client.models.list()] == [apus.DEFAULT_MODEL]
    assert client.models.retrieve(apus.DEFAULT_MODEL).object == "model"


def test_errors_become_the_clients_own(client):
    with pytest.raises(openai.NotFoundError) as unknown:
        client.embeddings.create(model="nothing", input="text")
    assert unknown.value.code == "model_not_found"
    with pytest.raises(openai.BadRequestError) as empty:
        client.embeddings.create(model=apus.DEFAULT_MODEL, input="")
    assert empty.value.code == "empty_input" and empty.value.param == "input"


def test_own_fields_pass_through(client):
    answer = client.embeddings.create(model=apus.DEFAULT_MODEL, input="text", extra_body={"provenance": True})
    assert answer.model_extra["provenance"][0]["precision"] == "fp32"
