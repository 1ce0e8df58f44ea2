#!/usr/bin/env python3
"""A sentence-transformers checkpoint of BERT-base's shape (12 layers, 768 wide, 12 heads) with random weights and MiniLM's tokenizer.

    make_base_model.py OUT

For speed at another size than MiniLM's: `throughput.py --model OUT`. Deterministic; about 440 MB. Needs torch, transformers, sentence-transformers.
"""
import os
import pathlib
import sys

from harness import MODEL_DIRECTORY


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    os.environ["HF_HUB_OFFLINE"] = "1"
    import torch
    from sentence_transformers import SentenceTransformer, models
    from transformers import AutoTokenizer, BertConfig, BertModel
    out = pathlib.Path(sys.argv[1])
    torch.manual_seed(7)
    half = out.with_name(out.name + ".half")
    BertModel(BertConfig()).save_pretrained(half)
    AutoTokenizer.from_pretrained(MODEL_DIRECTORY).save_pretrained(half)
    words = models.Transformer(str(half), max_seq_length=512)
    SentenceTransformer(modules=[words, models.Pooling(768, "mean"), models.Normalize()], device="cpu").save(str(out))
    for path in half.iterdir():
        path.unlink()
    half.rmdir()


if __name__ == "__main__":
    main()
