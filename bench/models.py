#!/usr/bin/env python3
"""Random-weight BERT checkpoints in HF layout for benchmarks: tiny, mini, minilm, base. Usage: models.py DIR TOKENIZER_DIR"""
import os, shutil, sys, torch
from transformers import AutoTokenizer, BertConfig, BertForSequenceClassification
shapes = {"tiny": (2, 128, 2), "mini": (4, 256, 4), "minilm": (6, 384, 12), "base": (12, 768, 12)}
out, tok = sys.argv[1:3]
for name, (layers, dim, heads) in shapes.items():
    d = os.path.join(out, name)
    if os.path.exists(os.path.join(d, "model.safetensors")):
        continue
    torch.manual_seed(7)
    c = BertConfig(vocab_size=30522, hidden_size=dim, num_hidden_layers=layers, num_attention_heads=heads, intermediate_size=4 * dim)
    BertForSequenceClassification(c).save_pretrained(d)
    for f in ("tokenizer.json", "tokenizer_config.json", "vocab.txt", "special_tokens_map.json"):
        if os.path.exists(os.path.join(tok, f)):
            shutil.copy(os.path.join(tok, f), d)
