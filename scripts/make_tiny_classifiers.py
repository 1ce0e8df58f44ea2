#!/usr/bin/env python3
"""Makes the tiny sequence classifiers under Tests/Fixtures/classifiers and the golden outputs beside them.

    python scripts/make_tiny_classifiers.py [OUT] [--only NAME]

Every directory has the files of a real cross-encoder or classifier, with random weights as in make_tiny_models.py; the tokenizers are those of
Tests/Fixtures/tiny. `golden.json` holds what PyTorch computes in fp32 for single texts and for pairs: token ids and types as cut at the
serving limit ("longest first", as transformers and CrossEncoder cut), logits, and the scores that CrossEncoder (one label) or transformers'
text-classification pipeline (several) makes of them. Each input runs alone, without padding. Logits are computed twice, from the ids that
`tokenizers` gives and by the library's own road, and must agree.

Needs the packages of make_tiny_models.py. The committed files were made with the versions that each golden.json names.
"""
import argparse
import json
import pathlib
import shutil

from make_tiny_models import VERSIONS, TANH, IDENTITY, contiguous, randomize, write_golden, write_json

import numpy as np
import torch
import transformers
from safetensors.torch import save_file
from sentence_transformers import CrossEncoder
from tokenizers import Tokenizer

from reference_texts import GOLDEN_TEXTS, TRAINING_SAMPLE

ROOT = pathlib.Path(__file__).resolve().parent.parent
SIGMOID = "torch.nn.modules.activation.Sigmoid"

LONG = " ".join(["The server batches requests and answers them in order."] * 9)
TEXTS = [*GOLDEN_TEXTS[:4], GOLDEN_TEXTS[9], GOLDEN_TEXTS[12], GOLDEN_TEXTS[13], LONG]
# The last four are too long: by the second text, by the first, by both, and by two of odd and even length.
PAIRS = [
    ("How do swifts sleep?", "A swift is a bird that sleeps while it flies."),
    ("How do swifts sleep?", "Interest rates rose by half a percentage point last week."),
    ("a", "a"), ("Где находится библиотека?", "Où est la bibliothèque la plus proche ?"), ("最近的图书馆在哪里？", "一番近い図書館はどこですか。"),
    ("The server batches requests.", LONG), (LONG, "The server batches requests."), (LONG, " ".join(TRAINING_SAMPLE[:12])),
    (" ".join(TRAINING_SAMPLE[3:6]), " ".join(TRAINING_SAMPLE[6:9])),
]


def config(name, **more):
    """A small configuration: BERT's spelling of the sizes, or DistilBERT's."""
    if name == "DistilBert":
        sizes = dict(dim=32, n_layers=1, n_heads=4, hidden_dim=64, max_position_embeddings=64, pad_token_id=0)
    else:
        shifted = name != "Bert"
        sizes = dict(hidden_size=32, num_hidden_layers=1, num_attention_heads=4, intermediate_size=64,
                     max_position_embeddings=66 if shifted else 64, pad_token_id=1 if shifted else 0)
        if name in ("Roberta", "XLMRoberta"):
            sizes |= dict(type_vocab_size=1, layer_norm_eps=1e-5)
    return lambda size: getattr(transformers, f"{name}ForSequenceClassification")(
        getattr(transformers, f"{name}Config")(vocab_size=size, **sizes, **more))


def labels(*names):
    return dict(id2label=dict(enumerate(names)), label2id={name: i for i, name in enumerate(names)})


# `activation` is written where the named release of sentence-transformers writes it: 6 in config_sentence_transformers.json, 4 in a section of
# config.json, 2 in a member of config.json.
CHECKPOINTS = {
    "bert-rerank": dict(seed=21, model=config("Bert", num_labels=1), tokenizer="bert-max-dense-sharded", limit=32, activation=(6, SIGMOID)),
    "roberta-rerank-identity": dict(seed=22, model=config("Roberta", num_labels=1), tokenizer="roberta-cls-dense", limit=48,
                                    activation=(2, IDENTITY)),
    "xlm-roberta-rerank": dict(seed=23, model=config("XLMRoberta", num_labels=1), tokenizer="xlm-roberta-mean-bf16", limit=64, dtype="bf16"),
    "mpnet-rerank-tanh": dict(seed=24, model=config("MPNet", num_labels=1), tokenizer="mpnet-mean-max", limit=40, activation=(4, TANH)),
    "distilbert-classify": dict(seed=25, model=config("DistilBert", **labels("negative", "neutral", "positive")), tokenizer="distilbert-last",
                                limit=64, dtype="fp16"),
    "bert-classify-several": dict(seed=26, model=config("Bert", problem_type="multi_label_classification", **labels("a", "b", "c", "d", "é")),
                                  tokenizer="bert-cls-fp16", limit=64),
    "bert-pairs": dict(seed=27, model=config("Bert", **labels("contradiction", "entailment", "neutral")), tokenizer="distilbert-bare", limit=32,
                       activation=(4, IDENTITY)),
    "mpnet-classify": dict(seed=28, model=config("MPNet", num_labels=4), tokenizer="mpnet-mean-then-max", limit=64),
    "onnx-bert-rerank": dict(seed=29, model=config("Bert", num_labels=1), tokenizer="onnx-bert", limit=32, activation=(6, SIGMOID), onnx=True),
}


def write_directory(folder, model, tokenizer, spec):
    values = model.config.to_dict()
    for key in ("_name_or_path", "dtype", "chunk_size_feed_forward", "return_dict", "output_hidden_states", "output_attentions",
                "is_encoder_decoder", "bos_token_id", "eos_token_id"):
        values.pop(key, None)
    values["architectures"] = [type(model).__name__]
    release, activation = spec.get("activation", (None, None))
    if release == 2:
        values["sbert_ce_default_activation_function"] = activation
    elif release == 4:
        values["sentence_transformers"] = {"activation_fn": activation, "version": "4.1.0"}
    elif release == 6:
        write_json(folder / "config_sentence_transformers.json", {
            "model_type": "CrossEncoder", "prompts": {}, "default_prompt_name": None, "activation_fn": activation})
        write_json(folder / "modules.json", [
            {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.base.modules.transformer.Transformer"}])
        write_json(folder / "sentence_bert_config.json", {
            "transformer_task": "sequence-classification",
            "modality_config": {"text": {"method": "forward", "method_output_name": "logits"}}, "module_output_name": "scores"})
    write_json(folder / "config.json", values)
    state = contiguous(model.state_dict())
    if "dtype" in spec:
        state = {name: value.to({"fp16": torch.float16, "bf16": torch.bfloat16}[spec["dtype"]]) for name, value in state.items()}
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
    tokenizer.save(str(folder / "tokenizer.json"), pretty=False)
    takes_types = type(model).__name__.startswith("Bert")
    write_json(folder / "tokenizer_config.json", {
        "tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": spec["limit"],
        "pad_token": tokenizer.id_to_token(model.config.pad_token_id),
        "model_input_names": ["input_ids", *(["token_type_ids"] if takes_types else []), "attention_mask"]})
    return takes_types


def logits(model, tokenizer, inputs, takes_types):
    ids, types, rows = [], [], []
    with torch.no_grad():
        for text in inputs:
            encoding = tokenizer.encode(*text) if isinstance(text, tuple) else tokenizer.encode(text)
            ids.append(encoding.ids)
            types.append(encoding.type_ids if takes_types else [0] * len(encoding.ids))
            features = dict(input_ids=torch.tensor([encoding.ids]), attention_mask=torch.ones(1, len(encoding.ids), dtype=torch.long))
            if takes_types:
                features["token_type_ids"] = torch.tensor([encoding.type_ids])
            rows.append(model(**features).logits[0].numpy())
    return ids, types, np.stack(rows)


def library_scores(folder, text_logits):
    """What the libraries themselves make of the directory: the logits of pairs, and the scores of texts and of pairs."""
    count = text_logits.shape[1]
    if count == 1:
        encoder = CrossEncoder(str(folder), device="cpu", model_kwargs={"dtype": torch.float32})
        predict = lambda inputs, **more: np.stack([encoder.predict([x], **more) for x in inputs]).reshape(-1, 1)
        # CrossEncoder takes pairs only: of texts alone its activation is asked.
        return predict(PAIRS, activation_fn=torch.nn.Identity()), encoder.activation_fn(torch.from_numpy(text_logits)).numpy(), predict(PAIRS)
    model = transformers.AutoModelForSequenceClassification.from_pretrained(folder, dtype=torch.float32)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    pipeline = transformers.pipeline("text-classification", model=model, tokenizer=tokenizer, device="cpu")

    def run(inputs, **more):
        rows = []
        for answer in (pipeline(text, top_k=None, truncation=True, **more) for text in inputs):
            by_label = {entry["label"]: entry["score"] for entry in answer}
            rows.append([by_label[model.config.id2label[i]] for i in range(count)])
        return np.array(rows, np.float32)

    pairs = [{"text": a, "text_pair": b} for a, b in PAIRS]
    return run(pairs, function_to_apply="none"), run(TEXTS), run(pairs)


def export_onnx(model, path):
    class Logits(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.model = model

        def forward(self, *inputs):
            return self.model(**dict(zip(names, inputs))).logits

    names = ["input_ids", "attention_mask", "token_type_ids"]
    x = torch.ones(2, 8, dtype=torch.long)
    torch.onnx.export(Logits().eval(), (x, x, torch.zeros_like(x)), str(path), input_names=names, output_names=["logits"],
                      dynamic_axes={**{name: {0: "batch", 1: "sequence"} for name in names}, "logits": {0: "batch"}},
                      opset_version=17, dynamo=False)


def make(name, spec, root):
    folder = root / name
    tokenizer = Tokenizer.from_file(str(ROOT / "Tests/Fixtures/tiny" / spec["tokenizer"] / "tokenizer.json"))
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    model = spec["model"](tokenizer.get_vocab_size()).eval()
    randomize(model, spec["seed"])
    if "dtype" in spec:  # the golden numbers come from the rounded weights, computed in fp32
        model = model.to({"fp16": torch.float16, "bf16": torch.bfloat16}[spec["dtype"]]).float()
    takes_types = write_directory(folder, model, tokenizer, spec)
    tokenizer.no_padding()
    tokenizer.enable_truncation(spec["limit"], strategy="longest_first")
    text_ids, _, text_logits = logits(model, tokenizer, TEXTS, takes_types)
    pair_ids, pair_types, pair_logits = logits(model, tokenizer, PAIRS, takes_types)
    own_logits, text_scores, pair_scores = library_scores(folder, text_logits)
    difference = float(np.abs(own_logits - pair_logits).max())
    assert difference < 2e-6, f"{name}: the library's own logits differ by {difference}"
    spread = float(np.vstack([text_logits, pair_logits]).std(0).min())
    assert spread > 0.05, f"{name}: logits hardly differ, {spread}"
    write_golden(folder / "golden.json", {
        "made_by": "scripts/make_tiny_classifiers.py", "versions": VERSIONS, "seed": spec["seed"], "max_tokens": spec["limit"],
        "labels": [model.config.id2label[i] for i in range(model.config.num_labels)],
        "texts": TEXTS, "text_ids": text_ids, "text_logits": text_logits, "text_scores": text_scores,
        "pairs": [list(pair) for pair in PAIRS], "pair_ids": pair_ids, "pair_types": pair_types,
        "pair_logits": pair_logits, "pair_scores": pair_scores})
    if spec.get("onnx"):
        (folder / "model.safetensors").unlink()
        export_onnx(model, folder / "model.onnx")
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    print(f"{name}: {size // 1024} KiB, the library differs by {difference:.1e}, logits spread by {spread:.3f} and more")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", nargs="?", type=pathlib.Path, default=ROOT / "Tests/Fixtures/classifiers")
    parser.add_argument("--only", choices=list(CHECKPOINTS))
    arguments = parser.parse_args()
    for name, spec in CHECKPOINTS.items():
        if arguments.only in (None, name):
            make(name, spec, arguments.out)
