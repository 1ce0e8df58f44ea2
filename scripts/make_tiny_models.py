#!/usr/bin/env python3
"""Makes the tiny checkpoints under Tests/Fixtures/tiny and the golden outputs beside them.

    python scripts/make_tiny_models.py [OUT] [--only NAME]

Every directory has the files of a real sentence-transformers checkpoint, with random weights that are scaled so that
attention, positions and every bias visibly matter. `golden.json` holds what PyTorch computes in fp32 for
`reference_texts.GOLDEN_TEXTS`: token ids as cut at the serving limit, the number of tokens before the cut, and the
vector after all modules. Each text runs alone, without padding.

Needs: torch, transformers, sentence-transformers, tokenizers, safetensors, onnx, sentencepiece. The committed files were
made with the versions that each golden.json names; weights are drawn from numpy's PCG64, which is stable across versions.
"""
import argparse
import importlib.metadata
import io
import json
import os
import pathlib
import shutil
import tempfile

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"

import numpy as np
import sentencepiece
import torch
import transformers
from safetensors.torch import save_file
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Pooling
from sentencepiece import sentencepiece_model_pb2
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

from reference_texts import GOLDEN_TEXTS, TRAINING_SAMPLE

transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()

VERSIONS = {name: importlib.metadata.version(name)
            for name in ("torch", "transformers", "sentence-transformers", "tokenizers", "safetensors", "sentencepiece", "onnx")}
LEGACY_POOLING = {"cls": "pooling_mode_cls_token", "max": "pooling_mode_max_tokens", "mean": "pooling_mode_mean_tokens",
                  "mean_sqrt_len_tokens": "pooling_mode_mean_sqrt_len_tokens",
                  "weightedmean": "pooling_mode_weightedmean_tokens", "lasttoken": "pooling_mode_lasttoken"}


# Tokenizers ---------------------------------------------------------------------------------------------------------

def word_piece(size, cls="[CLS]", sep="[SEP]", pad="[PAD]", unk="[UNK]", mask="[MASK]", lowercase=True, order=None):
    special = order or [pad, unk, cls, sep, mask]
    tokenizer = Tokenizer(models.WordPiece(unk_token=unk))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=lowercase)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.train_from_iterator(TRAINING_SAMPLE, trainers.WordPieceTrainer(
        vocab_size=size, special_tokens=special, show_progress=False))
    ids = tokenizer.get_vocab()
    separator = [sep, sep] if cls == "<s>" else [sep]
    second = "0" if cls == "<s>" else "1"
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{cls} $A {sep}",
        pair=f"{cls} $A " + " ".join(separator) + f" $B:{second} {sep}:{second}",
        special_tokens=[(cls, ids[cls]), (sep, ids[sep])])
    tokenizer.decoder = decoders.WordPiece()
    return tokenizer


def byte_level_bpe(size):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.train_from_iterator(TRAINING_SAMPLE, trainers.BpeTrainer(
        vocab_size=size, special_tokens=["<s>", "<pad>", "</s>", "<unk>", "<mask>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False))
    tokenizer.add_special_tokens([AddedToken("<mask>", lstrip=True, special=True)])
    ids = tokenizer.get_vocab()
    tokenizer.post_processor = processors.RobertaProcessing(
        ("</s>", ids["</s>"]), ("<s>", ids["<s>"]), trim_offsets=True, add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def unigram(size):
    """A sentencepiece Unigram model in XLM-RoBERTa's clothes, with a small compiled character map of its own."""
    rules = {chr(0xFF01 + i): chr(0x21 + i) for i in range(94)}  # full-width forms
    rules |= {"\u3000": " ", "\u00a0": " ", "\t": " ", "\n": " ", "\ufb01": "fi", "\ufb02": "fl",
              "e\u0301": "\u00e9", "\u2126": "\u03a9", "\u200b": " "}
    with tempfile.TemporaryDirectory() as folder:
        table = pathlib.Path(folder, "rules.tsv")
        table.write_text("".join(
            " ".join(f"{ord(c):X}" for c in source) + "\t" + " ".join(f"{ord(c):X}" for c in target) + "\n"
            for source, target in sorted(rules.items())))
        model = io.BytesIO()
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(TRAINING_SAMPLE), model_writer=model, vocab_size=size, model_type="unigram",
            normalization_rule_tsv=str(table), num_threads=1, character_coverage=1.0, hard_vocab_limit=False,
            minloglevel=2)
    proto = sentencepiece_model_pb2.ModelProto.FromString(model.getvalue())
    pieces = [(piece.piece, piece.score) for piece in proto.pieces if piece.type == piece.NORMAL]
    vocabulary = [("<s>", 0.0), ("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), *pieces, ("<mask>", 0.0)]
    tokenizer = Tokenizer(models.Unigram(vocabulary, unk_id=3, byte_fallback=False))
    tokenizer.normalizer = normalizers.Precompiled(proto.normalizer_spec.precompiled_charsmap)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always")])
    tokenizer.add_special_tokens([AddedToken(name, special=True, lstrip=name == "<mask>")
                                  for name in ("<s>", "<pad>", "</s>", "<unk>", "<mask>")])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)])
    tokenizer.decoder = decoders.Metaspace(replacement="▁", prepend_scheme="always")
    return tokenizer


# Weights ------------------------------------------------------------------------------------------------------------

def randomize(model, seed):
    """Draws every parameter so that no part of the network is near the identity or near zero."""
    generator = np.random.Generator(np.random.PCG64(seed))
    with torch.no_grad():
        for name, parameter in sorted(model.named_parameters()):
            draw = generator.standard_normal(tuple(parameter.shape))
            if parameter.dim() == 2 and "embeddings" in name or "relative_attention_bias" in name:
                draw = draw * 0.7
            elif parameter.dim() == 2:
                draw = draw * 1.3 / np.sqrt(parameter.shape[1])
            elif "norm" in name.lower() and name.endswith("weight"):
                draw = 1.0 + 0.2 * draw
            else:
                draw = draw * 0.2
            parameter.copy_(torch.from_numpy(draw.astype(np.float32)))


def contiguous(state):
    return {name: tensor.contiguous().clone() for name, tensor in state.items()}


def write_weights(folder, model, spec):
    state = {spec.get("prefix", "") + name: tensor for name, tensor in contiguous(model.state_dict()).items()}
    if spec.get("position_ids"):
        state["embeddings.position_ids"] = torch.arange(model.config.max_position_embeddings).unsqueeze(0)
    if spec.get("prefix"):
        # A head that an embedding server has no use for, as masked language models carry it.
        state["lm_head.bias"] = torch.zeros(model.config.vocab_size)
    dtype = {"fp16": torch.float16, "bf16": torch.bfloat16}.get(spec.get("dtype"))
    if dtype:
        state = {name: tensor.to(dtype) if tensor.is_floating_point() else tensor for name, tensor in state.items()}
    if not spec.get("shards"):
        save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
        return
    names, count = sorted(state), spec["shards"]
    index = {"metadata": {"total_size": sum(t.numel() * t.element_size() for t in state.values())}, "weight_map": {}}
    for shard in range(count):
        file = f"model-{shard + 1:05d}-of-{count:05d}.safetensors"
        part = names[shard::count]
        save_file({name: state[name] for name in part}, folder / file, metadata={"format": "pt"})
        index["weight_map"] |= {name: file for name in part}
    index["weight_map"] = dict(sorted(index["weight_map"].items()))
    write_json(folder / "model.safetensors.index.json", index)


# Directories --------------------------------------------------------------------------------------------------------

def write_json(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def write_modules(folder, spec, hidden):
    """The module files: `current` spells them as sentence-transformers 6 saves them, otherwise as 2-5 did."""
    current, modes = spec.get("current", False), spec["pooling"]
    base = "sentence_transformers.base.modules" if current else "sentence_transformers.models"
    pooling = "sentence_transformers.sentence_transformer.modules" if current else "sentence_transformers.models"
    kind = lambda package, name: f"{package}.{name.lower()}.{name}" if current else f"{package}.{name}"
    modules = [("", kind(base, "Transformer")), ("1_Pooling", kind(pooling, "Pooling"))]
    if current:
        write_json(folder / "1_Pooling/config.json", {
            "embedding_dimension": hidden, "pooling_mode": modes[0] if len(modes) == 1 else modes, "include_prompt": True})
    else:
        write_json(folder / "1_Pooling/config.json", {
            "word_embedding_dimension": hidden, **{key: mode in modes for mode, key in LEGACY_POOLING.items()}})
    if "dense" in spec:
        width = hidden * len(modes)
        generator = np.random.Generator(np.random.PCG64(spec["seed"] + 1000))
        out, activation, bias = spec["dense"]
        write_json(folder / "2_Dense/config.json", {
            "in_features": width, "out_features": out, "bias": bias, "activation_function": activation,
            **({"module_input_name": "sentence_embedding", "module_output_name": "sentence_embedding"} if current else {})})
        state = {"linear.weight": generator.standard_normal((out, width)) * 1.3 / np.sqrt(width)}
        if bias:
            state["linear.bias"] = generator.standard_normal(out) * 0.2
        save_file({name: torch.from_numpy(value.astype(np.float32)) for name, value in state.items()},
                  folder / "2_Dense/model.safetensors")
        modules.append(("2_Dense", kind(base, "Dense")))
    if spec.get("normalize"):
        modules.append((f"{len(modules)}_Normalize", kind(base, "Normalize")))
        (folder / modules[-1][0]).mkdir(exist_ok=True)
        write_json(folder / modules[-1][0] / "config.json",
                   {"module_input_name": "sentence_embedding", "module_output_name": "sentence_embedding"} if current else {})
    write_json(folder / "modules.json",
               [{"idx": i, "name": str(i), "path": path, "type": kind} for i, (path, kind) in enumerate(modules)])
    if "max_seq_length" in spec:
        write_json(folder / "sentence_bert_config.json", {"max_seq_length": spec["max_seq_length"], "do_lower_case": False})
    elif current:
        write_json(folder / "sentence_bert_config.json", {
            "transformer_task": "feature-extraction",
            "modality_config": {"text": {"method": "forward", "method_output_name": "last_hidden_state"}},
            "module_output_name": "token_embeddings"})


def export_onnx(model, path, names):
    class Hidden(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.model = model

        def forward(self, *inputs):
            return self.model(**dict(zip(names, inputs))).last_hidden_state

    x = torch.ones(2, 8, dtype=torch.long)
    inputs = tuple(torch.zeros_like(x) if name == "token_type_ids" else x for name in names)
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.onnx.export(Hidden().eval(), inputs, str(path), input_names=names, output_names=["last_hidden_state"],
                      dynamic_axes={name: {0: "batch", 1: "sequence"} for name in [*names, "last_hidden_state"]},
                      opset_version=17, dynamo=False)


def reference(folder, model, tokenizer, limit, spec):
    """Each golden text alone: ids of the tokenizer cut at `limit`, hidden states of PyTorch, then the saved modules."""
    tokenizer.no_truncation()
    tokenizer.no_padding()
    whole = [len(tokenizer.encode(text).ids) for text in GOLDEN_TEXTS]
    tokenizer.enable_truncation(limit)
    checkpoint = SentenceTransformer(str(folder), device="cpu", model_kwargs={"dtype": torch.float32})
    modules = list(checkpoint)[1:]
    ids, vectors, first = [], [], None
    with torch.no_grad():
        for text in GOLDEN_TEXTS:
            encoding = tokenizer.encode(text)
            ids.append(encoding.ids)
            mask = torch.ones(1, len(encoding.ids), dtype=torch.long)
            hidden = model(input_ids=torch.tensor([encoding.ids]), attention_mask=mask).last_hidden_state
            first = hidden[0].numpy() if first is None else first
            features = {"token_embeddings": hidden, "attention_mask": mask}
            for module in modules:
                features = module(features)
            vectors.append(features["sentence_embedding"][0].numpy())
    # sentence-transformers' own road must agree, so that a mistake of this script cannot become the truth.
    own = checkpoint.encode(GOLDEN_TEXTS, batch_size=1, convert_to_numpy=True)
    difference = float(np.abs(own - np.stack(vectors)).max())
    assert difference < 2e-5, f"{folder.name}: sentence-transformers differs by {difference}"
    distinct = np.linalg.norm(np.stack(vectors)[:, None] - np.stack(vectors)[None], axis=-1) + np.eye(len(vectors)) * 9
    write_golden(folder / "golden.json", {
        "made_by": "scripts/make_tiny_models.py", "versions": VERSIONS, "seed": spec["seed"], "max_tokens": limit,
        "vocabulary_size": tokenizer.get_vocab_size(), "dimensions": int(vectors[0].shape[0]),
        "texts": GOLDEN_TEXTS, "original_tokens": whole, "input_ids": ids,
        "first_text_hidden_states": first, "embeddings": np.stack(vectors)})
    return difference, float(distinct.min())


def write_golden(path, golden):
    """JSON with one text, id list or vector a line; floats as the shortest decimal that reads back as the same fp32."""
    lines = []
    for key, value in golden.items():
        if isinstance(value, np.ndarray):
            rows = ",\n  ".join("[" + ",".join(np.format_float_positional(x, unique=True, trim="0") for x in row) + "]"
                                for row in value.astype(np.float32))
            lines.append(f' "{key}": [\n  {rows}\n ]')
        elif isinstance(value, list):
            rows = ",\n  ".join(json.dumps(x, ensure_ascii=False, separators=(",", ":")) for x in value)
            lines.append(f' "{key}": [\n  {rows}\n ]')
        else:
            lines.append(f' "{key}": {json.dumps(value)}')
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


def bert(hidden=32, heads=4, **more):
    return lambda size: transformers.BertModel(transformers.BertConfig(
        vocab_size=size, hidden_size=hidden, num_hidden_layers=2, num_attention_heads=heads, intermediate_size=2 * hidden,
        max_position_embeddings=64, type_vocab_size=2, pad_token_id=0, **more), add_pooling_layer=False)


def roberta(kind="Roberta", **more):
    config = getattr(transformers, f"{kind}Config")
    return lambda size: getattr(transformers, f"{kind}Model")(config(
        vocab_size=size, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64,
        max_position_embeddings=66, type_vocab_size=1, pad_token_id=1, bos_token_id=0, eos_token_id=2,
        layer_norm_eps=1e-5, **more), add_pooling_layer=False)


def distilbert(**more):
    return lambda size: transformers.DistilBertModel(transformers.DistilBertConfig(
        vocab_size=size, dim=32, n_layers=2, n_heads=4, hidden_dim=64, max_position_embeddings=64, pad_token_id=0, **more))


def mpnet(**more):
    return lambda size: transformers.MPNetModel(transformers.MPNetConfig(
        vocab_size=size, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64,
        max_position_embeddings=66, relative_attention_num_buckets=32, pad_token_id=1, bos_token_id=0, eos_token_id=2,
        layer_norm_eps=1e-5, **more), add_pooling_layer=False)


MPNET_TOKENS = dict(cls="<s>", sep="</s>", pad="<pad>", unk="[UNK]", mask="<mask>",
                    order=["<s>", "<pad>", "</s>", "[UNK]", "<mask>"])
TANH, IDENTITY = "torch.nn.modules.activation.Tanh", "torch.nn.modules.linear.Identity"

# `limit` is wire.md's: max_seq_length where the checkpoint has it, else max_position_embeddings less the family's offset.
CHECKPOINTS = {
    "bert-mean": dict(seed=1, model=bert(hidden=64), tokenizer=lambda: word_piece(400), pooling=["mean"], normalize=True,
                      max_seq_length=32, limit=32),
    "bert-cls-fp16": dict(seed=2, model=bert(hidden_act="gelu_new"), tokenizer=lambda: word_piece(300, lowercase=False),
                          pooling=["cls"], dtype="fp16", position_ids=True, limit=64),
    "bert-max-dense-sharded": dict(seed=3, model=bert(), tokenizer=lambda: word_piece(300), pooling=["max"],
                                   dense=(24, TANH, True), shards=3, current=True, limit=64),
    "roberta-cls-dense": dict(seed=4, model=roberta(), tokenizer=lambda: byte_level_bpe(400), pooling=["cls"],
                              dense=(24, TANH, True), normalize=True, max_seq_length=48, limit=48),
    "roberta-sqrt-prefixed": dict(seed=5, model=roberta(hidden_act="relu"), tokenizer=lambda: byte_level_bpe(320),
                                  pooling=["mean_sqrt_len_tokens"], prefix="roberta.", limit=64),
    "xlm-roberta-mean-bf16": dict(seed=6, model=roberta("XLMRoberta"), tokenizer=lambda: unigram(400), pooling=["mean"],
                                  normalize=True, dtype="bf16", current=True, limit=64),
    "distilbert-last": dict(seed=7, model=distilbert(), tokenizer=lambda: word_piece(300), pooling=["lasttoken"], limit=64),
    "distilbert-weighted": dict(seed=8, model=distilbert(activation="relu"), tokenizer=lambda: word_piece(300),
                                pooling=["weightedmean"], dense=(40, IDENTITY, False), normalize=True, limit=64),
    "distilbert-bare": dict(seed=9, model=distilbert(), tokenizer=lambda: word_piece(300), pooling=None, limit=64),
    "mpnet-mean-max": dict(seed=10, model=mpnet(), tokenizer=lambda: word_piece(300, **MPNET_TOKENS),
                           pooling=["max", "mean"], normalize=True, max_seq_length=40, limit=40),
    "mpnet-mean-then-max": dict(seed=11, model=mpnet(), tokenizer=lambda: word_piece(300, **MPNET_TOKENS),
                                pooling=["mean", "max"], current=True, limit=64),
    "onnx-bert": dict(seed=12, model=bert(), tokenizer=lambda: word_piece(300), pooling=["mean"], normalize=True,
                      max_seq_length=32, limit=32, onnx=("model.onnx", ["input_ids", "attention_mask", "token_type_ids"])),
    "onnx-distilbert": dict(seed=13, model=distilbert(), tokenizer=lambda: word_piece(300), pooling=["cls"], limit=64,
                            onnx=("onnx/model.onnx", ["input_ids", "attention_mask"])),
}


def make(name, spec, root):
    folder = root / name
    kept = folder / "tokenizer.json"
    # The trainers break ties by a randomly seeded hash, so a tokenizer that exists is kept and its files stay the same.
    tokenizer = Tokenizer.from_file(str(kept)) if kept.exists() else spec["tokenizer"]()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    model = spec["model"](tokenizer.get_vocab_size()).eval()
    randomize(model, spec["seed"])
    if "dtype" in spec:  # the golden vectors come from the rounded weights, computed in fp32
        model = model.to({"fp16": torch.float16, "bf16": torch.bfloat16}[spec["dtype"]]).float()
    config = model.config.to_dict()
    for key in ("_name_or_path", "dtype", "chunk_size_feed_forward", "id2label", "label2id", "problem_type", "return_dict",
                "output_hidden_states", "output_attentions", "is_encoder_decoder", "bos_token_id", "eos_token_id"):
        config.pop(key, None)
    config["architectures"] = [type(model).__name__]
    write_json(folder / "config.json", config)
    write_weights(folder, model, spec)
    tokenizer.save(str(folder / "tokenizer.json"), pretty=False)
    write_json(folder / "tokenizer_config.json", {
        "tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": spec["limit"],
        "pad_token": tokenizer.id_to_token(1 if "<pad>" in tokenizer.get_vocab() else 0)})
    if spec["pooling"]:
        write_modules(folder, spec, model.config.hidden_size)
    difference, distance = reference(folder, model, tokenizer, spec["limit"], spec)
    if "onnx" in spec:
        path, names = spec["onnx"]
        (folder / "model.safetensors").unlink()
        export_onnx(model, folder / path, names)
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    print(f"{name}: {size // 1024} KiB, sentence-transformers differs by {difference:.1e}, nearest two texts {distance:.3f} apart")


if __name__ == "__main__":
    default = pathlib.Path(__file__).resolve().parent.parent / "Tests/Fixtures/tiny"
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", nargs="?", type=pathlib.Path, default=default)
    parser.add_argument("--only", choices=list(CHECKPOINTS))
    arguments = parser.parse_args()
    for name, spec in CHECKPOINTS.items():
        if arguments.only in (None, name):
            make(name, spec, arguments.out)
