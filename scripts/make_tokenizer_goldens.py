"""Writes Tests/ApusTokenizersTests/Resources: small tokenizers of every kind and what Python makes of many texts.

Usage: python scripts/make_tokenizer_goldens.py CORPORA MINILM_TOKENIZER_JSON
CORPORA holds short.txt and mixed.txt; needs: pip install tokenizers==0.23.3 sentencepiece==0.2.3 protobuf
"""
import base64
import json
import pathlib
import random
import sys
import tempfile
from importlib.metadata import version

import sentencepiece
from sentencepiece import sentencepiece_model_pb2
from tokenizers import (AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors,
                        trainers)

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from tokenizer_texts import MULTILINGUAL, random_texts  # noqa: E402

OUT = pathlib.Path(__file__).resolve().parent.parent / "Tests" / "ApusTokenizersTests" / "Resources"
LLAMA3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
          r"|\s+(?!\S)|\s+")
O200K = (r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
         r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
         r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+")
PATTERNS = [
    r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+", LLAMA3, O200K,
    LLAMA3.replace("{1,3}", ""),
    r" ?[^(\s|[.,!?…。，、।۔،])]+", r"\s{2,}", r"[一-龥\u3040-ゟ゠-ヿ]+", r"\p{N}", r"\d+(?=\p{L})", r"(?<=\d)\p{L}+",
    r"\w+?\b", r"^\s*\S+|\S+$", r"(a|ab)(c|bcd)?", r"[^\r\n\p{L}\p{N}]?+\p{L}+|\s++", r"(?:[a-z]{2}){1,2}|x*",
    r"[\p{L}&&[^a-mA-M]]+", r"\p{Han}+|\p{Hiragana}+|\p{Katakana}+|\p{Latin}+", r"(?!the)\p{L}+|the",
    r"\d{1,3}(?=(?:\d{3})*\b)", r"[!-/:-@\[-`{-~][A-Za-z]+| ?[\p{P}\p{S}]+[\r\n]*",
]


def fingerprint(ids):
    """FNV-1a, 64 bits, over the ids as little-endian 32-bit words."""
    value = 0xCBF29CE484222325
    for token in ids:
        for byte in token.to_bytes(4, "little"):
            value = (value ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return f"{value:016x}"


def save(tokenizer, name):
    document = json.loads(tokenizer.to_str()) if isinstance(tokenizer, Tokenizer) else tokenizer
    (OUT / name).write_text(json.dumps(document, ensure_ascii=False, separators=(",", ":")), encoding="utf-8")


def word_piece(minilm):
    """The real file of all-MiniLM-L6-v2 with the first 8,000 tokens; truncation and padding stay as they are."""
    document = json.loads(pathlib.Path(minilm).read_text(encoding="utf-8"))
    document["model"]["vocab"] = {t: i for t, i in document["model"]["vocab"].items() if i < 8000}
    document["added_tokens"] = [t for t in document["added_tokens"] if t["id"] < 8000]
    save(document, "wordpiece.json")


def gpt2(lines):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(lines, trainers.BpeTrainer(
        vocab_size=3000, special_tokens=["<s>", "<pad>", "</s>", "<unk>"], show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    tokenizer.add_special_tokens([AddedToken("<mask>", lstrip=True)])
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), add_prefix_space=False)
    save(tokenizer, "bytelevel_gpt2.json")


def llama3(lines):
    tokenizer = Tokenizer(models.BPE(ignore_merges=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(LLAMA3), "isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(lines, trainers.BpeTrainer(
        vocab_size=3000, show_progress=False, initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    tokenizer.add_special_tokens(["<|begin_of_text|>", "<|endoftext|>"])
    tokenizer.post_processor = processors.Sequence([
        processors.ByteLevel(trim_offsets=False),
        processors.TemplateProcessing(
            single="<|begin_of_text|> $A", pair="<|begin_of_text|> $A <|begin_of_text|>:1 $B:1",
            special_tokens=[("<|begin_of_text|>", tokenizer.token_to_id("<|begin_of_text|>"))])])
    save(tokenizer, "bytelevel_llama3.json")


def byte_fallback(lines):
    """As Llama 2: spaces become ▁, unknown characters become byte tokens."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.train_from_iterator((line[:60] for line in lines), trainers.BpeTrainer(
        vocab_size=1500, show_progress=False, limit_alphabet=120,
        special_tokens=["<unk>", "<s>", "</s>"] + [f"<0x{b:02X}>" for b in range(256)]))
    document = json.loads(tokenizer.to_str())
    document["added_tokens"] = document["added_tokens"][:3]
    document["post_processor"] = {
        "type": "TemplateProcessing",
        "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
        "pair": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}},
                 {"SpecialToken": {"id": "<s>", "type_id": 1}}, {"Sequence": {"id": "B", "type_id": 1}}],
        "special_tokens": {"<s>": {"id": "<s>", "ids": [1], "tokens": ["<s>"]}}}
    document["decoder"] = {"type": "Sequence", "decoders": [
        {"type": "Replace", "pattern": {"String": "▁"}, "content": " "}, {"type": "ByteFallback"}, {"type": "Fuse"},
        {"type": "Strip", "content": " ", "start": 1, "stop": 0}]}
    # The merges in the older spelling, one string each.
    document["model"]["merges"] = [" ".join(pair) for pair in document["model"]["merges"]]
    save(document, "bpe_bytefallback.json")


def unigram(lines):
    """As XLM-RoBERTa: pieces and character map of a real sentencepiece model."""
    with tempfile.TemporaryDirectory() as folder:
        source = pathlib.Path(folder) / "lines.txt"
        source.write_text("\n".join(lines) + "\n", encoding="utf-8")
        sentencepiece.SentencePieceTrainer.train(
            input=str(source), model_prefix=folder + "/m", vocab_size=3000, model_type="unigram",
            character_coverage=0.9995, normalization_rule_name="nmt_nfkc", num_threads=1, minloglevel=2)
        proto = sentencepiece_model_pb2.ModelProto()
        proto.ParseFromString(pathlib.Path(folder + "/m.model").read_bytes())
    vocab = [["<s>", 0.0], ["<pad>", 0.0], ["</s>", 0.0], ["<unk>", 0.0]]
    vocab += [[p.piece, p.score] for p in proto.pieces[3:]] + [["<mask>", 0.0]]
    charsmap = base64.b64encode(proto.normalizer_spec.precompiled_charsmap).decode()
    added = [{"id": i, "content": t, "single_word": False, "lstrip": t == "<mask>", "rstrip": False,
              "normalized": False, "special": True}
             for i, (t, _) in enumerate(vocab) if t in ("<s>", "<pad>", "</s>", "<unk>", "<mask>")]
    metaspace = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True}
    tokens = {t: {"id": t, "ids": [i], "tokens": [t]} for t, i in (("<s>", 0), ("</s>", 2))}

    def piece(token):
        return {"SpecialToken": {"id": token, "type_id": 0}}

    def text(name):
        return {"Sequence": {"id": name, "type_id": 0}}

    document = {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": added,
        "normalizer": {"type": "Sequence", "normalizers": [
            {"type": "Precompiled", "precompiled_charsmap": charsmap},
            {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "}]},
        "pre_tokenizer": metaspace, "decoder": metaspace,
        "post_processor": {"type": "TemplateProcessing", "single": [piece("<s>"), text("A"), piece("</s>")],
                           "pair": [piece("<s>"), text("A"), piece("</s>"), piece("</s>"), text("B"), piece("</s>")],
                           "special_tokens": tokens},
        "model": {"type": "Unigram", "unk_id": 3, "vocab": vocab, "byte_fallback": False}}
    save(document, "unigram.json")


TOKENIZERS = ["wordpiece.json", "bytelevel_gpt2.json", "bytelevel_llama3.json", "bpe_bytefallback.json",
              "unigram.json"]


def components():
    """Normalizers and pre-tokenizers one by one.

    The model spells every character by byte tokens and puts a mark before each that does not start a word, so that its
    ids show the normalized text and where it was cut.
    """
    def split(pattern, behavior="Isolated", invert=False, kind="Regex"):
        return {"type": "Split", "pattern": {kind: pattern}, "behavior": behavior, "invert": invert}

    def metaspace(scheme, split=True):
        return {"type": "Metaspace", "replacement": "▁", "prepend_scheme": scheme, "split": split}

    def sequence(key, *members):
        return {"type": "Sequence", key: list(members)}

    def bert(clean, chinese, accents, lower):
        return {"type": "BertNormalizer", "clean_text": clean, "handle_chinese_chars": chinese,
                "strip_accents": accents, "lowercase": lower}

    def replace(kind, pattern, content):
        return {"type": "Replace", "pattern": {kind: pattern}, "content": content}

    byte_level = {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True}
    charsmap = json.loads((OUT / "unigram.json").read_text(encoding="utf-8"))["normalizer"]["normalizers"][0]
    strip = {"type": "Strip", "strip_left": True, "strip_right": True}
    normal = [{"type": t} for t in ("NFC", "NFD", "NFKC", "NFKD", "Lowercase", "StripAccents", "Nmt", "ByteLevel")]
    normal += [bert(True, True, None, True), bert(True, True, None, False), bert(False, True, False, True),
               bert(True, False, True, False), strip, {"type": "Strip", "strip_left": False, "strip_right": True},
               {"type": "Prepend", "prepend": "▁"}, replace("String", " ", "▁"), replace("Regex", r"\s+", " "),
               replace("String", "``", '"'), replace("Regex", "", "-"),
               sequence("normalizers", {"type": "NFD"}, {"type": "Lowercase"}, {"type": "StripAccents"}),
               charsmap]
    pre = [{"type": t} for t in ("BertPreTokenizer", "Whitespace", "WhitespaceSplit")]
    pre += [byte_level, {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False},
            {"type": "CharDelimiterSplit", "delimiter": " "}, {"type": "Digits", "individual_digits": True},
            {"type": "Digits", "individual_digits": False}, {"type": "FixedLength", "length": 5}]
    pre += [metaspace(s, p) for s in ("always", "first", "never") for p in (True, False)]
    pre += [{"type": "Metaspace", "replacement": "_", "add_prefix_space": True}]
    behaviors = ["Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous"]
    pre += [{"type": "Punctuation", "behavior": b} for b in behaviors]
    pre += [split(r"\s+", b, i) for b in behaviors for i in (False, True)]
    pre += [split(" ", b, i, "String") for b in behaviors for i in (False, True)]
    pre += [split(p) for p in PATTERNS] + [split(p, "Removed", True) for p in PATTERNS]
    pre += [split("", "Isolated", False, "String"), split("the quick brown fox jumps", "Removed", False, "String")]
    pre += [sequence("pretokenizers", {"type": "WhitespaceSplit"}, metaspace("first"), {"type": "Punctuation"}),
            sequence("pretokenizers", {"type": "Digits", "individual_digits": True}, byte_level),
            sequence("pretokenizers", byte_level, split("Ġ", "MergedWithNext", False, "String"))]
    pairs = [(n, None) for n in normal] + [(None, p) for p in pre]
    pairs += [(strip, metaspace("first")), (replace("Regex", r"\s{2,}", " "), metaspace("first")),
              ({"type": "NFKC"}, metaspace("first")), (charsmap, metaspace("first")),
              ({"type": "Prepend", "prepend": "▁"}, metaspace("first")), (bert(True, True, None, True), metaspace("first"))]
    return pairs


def spy(normalizer, pre_tokenizer):
    added = [{"id": 256, "content": "[CLS]", "single_word": False, "lstrip": False, "rstrip": False,
              "normalized": False, "special": True},
             {"id": 257, "content": "The ", "single_word": False, "lstrip": False, "rstrip": True,
              "normalized": True, "special": False},
             {"id": 258, "content": "token", "single_word": True, "lstrip": True, "rstrip": True,
              "normalized": False, "special": False}]
    return {"version": "1.0", "truncation": None, "padding": None, "added_tokens": added, "normalizer": normalizer,
            "pre_tokenizer": pre_tokenizer, "post_processor": None, "decoder": None,
            "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": "\u0001",
                      "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": True, "ignore_merges": False,
                      "vocab": {f"<0x{b:02X}>": b for b in range(256)}, "merges": []}}


DECODER_TOKENS = ["[UNK]", "hello", "##wor", "##ld", ".", ",", "do not", "n't", "'s", " ' ", "<0xE2>", "<0x82>", "<0xAC>",
                  "<0x41>", "<0x+4>", "Ġa", "Ċ", "é", "▁x", "▁", "▁▁y▁", "low</w>", "er", "<pad>", "|", "|a|", "##", "  z ",
                  "中", "âĤ¬", "âĤ", "are", "not", "[CLS]", "[SEP]"]


def decoder_parts():
    def strip(content, start, stop):
        return {"type": "Strip", "content": content, "start": start, "stop": stop}

    def replace(kind, pattern, content):
        return {"type": "Replace", "pattern": {kind: pattern}, "content": content}

    def metaspace(scheme):
        return {"type": "Metaspace", "replacement": "▁", "prepend_scheme": scheme, "split": True}

    def sequence(*members):
        return {"type": "Sequence", "decoders": list(members)}

    byte_level = {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True}
    return [None, {"type": "WordPiece", "prefix": "##", "cleanup": True}, {"type": "ByteFallback"}, {"type": "Fuse"},
            {"type": "WordPiece", "prefix": "##", "cleanup": False}, {"type": "BPEDecoder", "suffix": "</w>"}, byte_level,
            metaspace("always"), metaspace("never"), strip(" ", 1, 0), strip("é", 0, 1), replace("String", "▁", " "),
            replace("Regex", r"\s+", "_"), replace("Regex", "l*", "-"),
            {"type": "CTC", "pad_token": "<pad>", "word_delimiter_token": "|", "cleanup": True},
            {"type": "CTC", "pad_token": "<pad>", "word_delimiter_token": "|", "cleanup": False},
            sequence(replace("String", "▁", " "), {"type": "ByteFallback"}, {"type": "Fuse"}, strip(" ", 2, 0)),
            sequence(byte_level, replace("String", "o", "0"))]


def processor_parts():
    sep, cls = ["[SEP]", 34], ["[CLS]", 33]
    bert = {"type": "BertProcessing", "sep": sep, "cls": cls}
    byte_level = {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True}

    def text(name, kind):
        return {"Sequence": {"id": name, "type_id": kind}}

    special = {"SpecialToken": {"id": "two", "type_id": 7}}
    template = {"type": "TemplateProcessing", "single": [special, text("A", 3)],
                "pair": [text("B", 1), special, text("A", 2), text("B", 4)],
                "special_tokens": {"two": {"id": "two", "ids": [34, 33], "tokens": ["[SEP]", "[CLS]"]}}}
    return [None, bert, {"type": "RobertaProcessing", "sep": sep, "cls": cls, "trim_offsets": True,
                         "add_prefix_space": False}, byte_level, template,
            {"type": "Sequence", "processors": [byte_level, template]}]


def parts():
    """Decoders and post-processors one by one, over a WordLevel model."""
    source = random.Random(3)
    added = [{"id": i, "content": DECODER_TOKENS[i], "single_word": False, "lstrip": False, "rstrip": False,
              "normalized": False, "special": True} for i in (33, 34)]
    document = {"version": "1.0", "truncation": None, "padding": None, "added_tokens": added, "normalizer": None,
                "pre_tokenizer": {"type": "WhitespaceSplit"}, "post_processor": None, "decoder": None,
                "model": {"type": "WordLevel", "unk_token": "[UNK]",
                          "vocab": {t: i for i, t in enumerate(DECODER_TOKENS)}}}
    # At least three tokens: BPEDecoder of the reference fails on none.
    sequences = [[source.randrange(len(DECODER_TOKENS)) for _ in range(source.randint(3, 12))] for _ in range(60)]
    record = {"document": document, "sequences": sequences, "decoders": [], "processors": []}
    for decoder in decoder_parts():
        tokenizer = Tokenizer.from_str(json.dumps({**document, "decoder": decoder}))
        record["decoders"].append({
            "decoder": decoder, "skipped": [tokenizer.decode(s) for s in sequences],
            "kept": [tokenizer.decode(s, skip_special_tokens=False) for s in sequences]})
    texts = ["hello er unknown", "", "are not [SEP] hello", "[CLS]"]
    for processor in processor_parts():
        tokenizer = Tokenizer.from_str(json.dumps({**document, "post_processor": processor}))
        cases = []
        for first in texts:
            for second in [None] + texts:
                for special in (True, False):
                    encoding = tokenizer.encode(first, second, add_special_tokens=special)
                    cases.append({"first": first, "second": second, "special": special, "ids": encoding.ids,
                                  "types": encoding.type_ids})
        record["processors"].append({"processor": processor, "cases": cases})
    save(record, "parts.json")


def main(corpora, minilm):
    OUT.mkdir(parents=True, exist_ok=True)
    corpus = {name: pathlib.Path(corpora, name + ".txt").read_text(encoding="utf-8").split("\n")[:-1]
              for name in ("short", "mixed")}
    lines = corpus["short"][::6] + corpus["mixed"][::40]
    word_piece(minilm)
    gpt2(lines)
    llama3(lines)
    byte_fallback(lines)
    unigram(lines)

    texts = MULTILINGUAL + random_texts(250, 1) + corpus["short"][::1500] + corpus["mixed"][::1000]
    pairs = list(zip(texts[0:40:2], texts[1:40:2])) + [("", "x"), ("x", "")]
    golden = {"versions": {p: version(p) for p in ("tokenizers", "sentencepiece")}, "texts": texts,
              "pairs": pairs, "tokenizers": {}}
    for name in TOKENIZERS:
        tokenizer = Tokenizer.from_file(str(OUT / name))
        tokenizer.no_padding()
        tokenizer.no_truncation()
        encodings = [tokenizer.encode(t) for t in texts]
        paired = [tokenizer.encode(a, b) for a, b in pairs]
        record = {
            "vocabulary_size": max(tokenizer.get_vocab().values()) + 1,
            "ids": [e.ids for e in encodings[:len(MULTILINGUAL)]],
            "fingerprints": [fingerprint(e.ids) for e in encodings],
            "decoded": [tokenizer.decode(e.ids) for e in encodings[:len(MULTILINGUAL) + 40]],
            "decoded_with_special": [tokenizer.decode(e.ids, skip_special_tokens=False) for e in encodings[:10]],
            "bare": [fingerprint(tokenizer.encode(t, add_special_tokens=False).ids) for t in texts],
            "pair_ids": [e.ids for e in paired], "pair_types": [e.type_ids for e in paired],
            "truncated": [],
        }
        for limit in (4, 7, 16, 33):
            tokenizer.enable_truncation(limit)
            record["truncated"].append({
                "limit": limit, "single": [fingerprint(tokenizer.encode(t).ids) for t in texts[:60]],
                "pair": [fingerprint(tokenizer.encode(a, b).ids) for a, b in pairs]})
        golden["tokenizers"][name] = record
    save(golden, "goldens.json")

    spies = []
    texts = MULTILINGUAL + ["The token [CLS] a token", "The  The x", "  token token "] + random_texts(60, 2)
    for normalizer, pre_tokenizer in components():
        tokenizer = Tokenizer.from_str(json.dumps(spy(normalizer, pre_tokenizer)))
        # The character map is long and stands in unigram.json already.
        shown = {"type": "Precompiled"} if (normalizer or {}).get("type") == "Precompiled" else normalizer
        spies.append({"normalizer": shown, "pre_tokenizer": pre_tokenizer,
                      "fingerprints": [fingerprint(tokenizer.encode(t).ids) for t in texts]})
    save({"texts": texts, "model": spy(None, None), "components": spies}, "components.json")
    parts()
    print(sum(f.stat().st_size for f in OUT.iterdir()), "bytes in", OUT)


if __name__ == "__main__":
    main(*sys.argv[1:])
