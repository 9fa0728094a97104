"""Golden checkpoints for tests/model/test_*.c. Run in this folder: python3 make.py [CASE...]

Each case is a folder with a tiny random checkpoint in Hugging Face layout, and expected.safetensors: the packed input (begin,
ids, types), and what transformers computes from it in fp32, float64 and bf16, one sequence at a time (no padding, no mask). The
outputs are logits per sequence, or rows `want` of a language model's logits, or hidden states, or a logit per token (replaced or
not). The weights are wider than usual (std 0.25, norms
and biases random, too), so that attention is sharp and each weight matters.
"""
import json, os, platform, shutil, sys
import safetensors, torch, transformers
from safetensors.torch import load_file, save_file
from transformers import BertForMaskedLM, BertForNextSentencePrediction, BertForSequenceClassification, BertModel
from transformers import ElectraForMaskedLM, ElectraForPreTraining, ElectraForSequenceClassification, ElectraModel
from transformers import GPT2ForSequenceClassification, GPT2LMHeadModel, GPT2Model

torch.set_num_threads(1)
transformers.utils.logging.disable_progress_bar()
LENGTHS = [5, 1, 17, 2, 40, 16, 9, 3]
BERT = dict(vocab_size=101, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=48, max_position_embeddings=40,
            type_vocab_size=2, dtype="float32")
BASES = {"bert": BERT, "electra": dict(BERT, embedding_size=24),
         "gpt2": dict(vocab_size=101, n_embd=32, n_layer=2, n_head=4, n_inner=48, n_positions=40, bos_token_id=0, eos_token_id=0, dtype="float32")}
LANGUAGE_MODELS = (BertForMaskedLM, ElectraForMaskedLM, GPT2LMHeadModel)


def inputs(vocab):
    g = torch.Generator().manual_seed(7)
    begin = [0]
    for n in LENGTHS:
        begin.append(begin[-1] + n)
    ids = torch.randint(0, vocab, (begin[-1],), generator=g, dtype=torch.int32)
    types = torch.cat([(torch.arange(n) >= (n + 1) // 2).int() * (i % 2) for i, n in enumerate(LENGTHS)]).int()
    return torch.tensor(begin, dtype=torch.int64), ids, types


def randomise(model, seed):
    g = torch.Generator().manual_seed(seed)
    for name, p in model.named_parameters():
        x = torch.randn(p.shape, generator=g)
        p.data = 1 + 0.1 * x if p.dim() == 1 and name.endswith("weight") else 0.1 * x if p.dim() == 1 else 0.25 * x
    model.tie_weights()
    return model.eval()


def run(model, dtype, begin, ids, types, want):
    model = model.to(dtype)
    rows = []
    with torch.no_grad():
        for i in range(len(LENGTHS)):
            a, b = begin[i], begin[i + 1]
            more = {} if model.config.model_type == "gpt2" else {"token_type_ids": types[None, a:b].long()}
            y = model(input_ids=ids[None, a:b].long(), **more)
            y = y[0][0][:, None] if isinstance(model, ElectraForPreTraining) else y[0]
            rows.append(y[0] if y.dim() == 3 else y)
    y = torch.cat(rows)
    return (y[want] if isinstance(model, LANGUAGE_MODELS) else y).contiguous()


def case(name, cls, seed, edit=None, dtype=torch.float32, shard=None, **config):
    """edit(name): a last change of the files."""
    if sys.argv[1:] and name not in sys.argv[1:]:
        return
    shutil.rmtree(name, ignore_errors=True)
    c = cls.config_class(**{**BASES[cls.config_class.model_type], **config})
    model = randomise(cls(c), seed)
    if shard:
        model.save_pretrained(name, max_shard_size=shard)
    else:
        model.to(dtype).save_pretrained(name)
    if edit:
        edit(name)
    # What transformers makes of the files, not of the model that wrote them.
    model = cls.from_pretrained(name, dtype=torch.float32, attn_implementation="eager").eval()
    begin, ids, types = inputs(c.vocab_size)
    if c.model_type == "gpt2" and c.pad_token_id is not None:  # texts that end in padding tokens of their own, one of nothing else
        ids[4], ids[5], ids[21], ids[22], ids[60] = (c.pad_token_id,) * 5
    want = torch.arange(0, int(begin[-1]), 4, dtype=torch.int64)
    out = {"begin": begin, "ids": ids, "types": types, "want": want}
    for key, d in (("f32", torch.float32), ("f64", torch.float64)):
        out[key] = run(model, d, begin, ids, types, want)
    out["bf16"] = run(model.float(), torch.bfloat16, begin, ids, types, want)
    print(f"{name}: {tuple(out['f32'].shape)} largest {out['f64'].abs().max():.3f} "
          f"error of fp32 {(out['f32'].double() - out['f64']).abs().max():.2e} of bf16 {(out['bf16'].double() - out['f64']).abs().max():.2e}")
    save_file(out, f"{name}/expected.safetensors")


def to_legacy_bin(name):
    """As the files of 2018: gamma and beta, the decoder written out, other heads and buffers beside it."""
    t = {k.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): v.clone() for k, v in
         load_file(f"{name}/model.safetensors").items()}
    t["cls.predictions.decoder.weight"] = t["bert.embeddings.word_embeddings.weight"]  # one storage, two names
    t["cls.seq_relationship.weight"], t["cls.seq_relationship.bias"] = torch.ones(2, 32), torch.ones(2)
    t["bert.pooler.dense.weight"], t["bert.pooler.dense.bias"] = torch.ones(32, 32), torch.ones(32)
    torch.save(t, f"{name}/pytorch_model.bin")
    os.remove(f"{name}/model.safetensors")


def add_extra(name):
    t = load_file(f"{name}/model.safetensors")
    t["bert.embeddings.position_ids"] = torch.arange(40)[None]
    t["cls.predictions.bias"], t["spare.weight"] = torch.zeros(101), torch.zeros(3, 4)
    save_file(t, f"{name}/model.safetensors", {"format": "pt"})


def to_plain_names(name):
    """As openai-community/gpt2: no prefix, the causal masks beside the weights."""
    t = {k.removeprefix("transformer."): v for k, v in load_file(f"{name}/model.safetensors").items()}
    for l in range(2):
        t[f"h.{l}.attn.bias"], t[f"h.{l}.attn.masked_bias"] = torch.ones(1, 1, 40, 40).tril(), torch.tensor(-1e4)
    save_file(t, f"{name}/model.safetensors", {"format": "pt"})


def set_config(**changes):
    def edit(name):
        with open(f"{name}/config.json") as f:
            c = json.load(f)
        c.update(changes)
        with open(f"{name}/config.json", "w") as f:
            json.dump(c, f, indent=2)
    return edit


def differs_though_tied(name):
    """The config ties, the file holds two different tables: transformers then does not tie."""
    set_config(tie_word_embeddings=True)(name)


three = {0: "bad", 1: "so so", 2: "gr\u00fcn \"ok\""}
case("single", BertForSequenceClassification, 1, id2label=three, label2id={v: k for k, v in three.items()})
case("multi", BertForSequenceClassification, 2, num_labels=4, problem_type="multi_label_classification")
case("regression", BertForSequenceClassification, 3, num_labels=1, num_hidden_layers=1, layer_norm_eps=1e-5)
case("mlm_tied", BertForMaskedLM, 4)
case("mlm_untied", BertForMaskedLM, 5, tie_word_embeddings=False, num_hidden_layers=1)
case("mlm_both", BertForMaskedLM, 6, edit=differs_though_tied, tie_word_embeddings=False, num_hidden_layers=1)
case("nsp", BertForNextSentencePrediction, 7, num_attention_heads=2)
case("base", BertModel, 8, hidden_size=24, num_attention_heads=3, num_hidden_layers=3, intermediate_size=33)
case("legacy_bin", BertForMaskedLM, 9, edit=to_legacy_bin)
case("sharded", BertForSequenceClassification, 10, shard="30KB")
case("bf16", BertForSequenceClassification, 11, dtype=torch.bfloat16)
case("f16", BertModel, 12, dtype=torch.float16)
case("gelu_new", BertForMaskedLM, 13, hidden_act="gelu_new", num_hidden_layers=1)
case("relu", BertForSequenceClassification, 14, hidden_act="relu", num_hidden_layers=1, type_vocab_size=3)
case("extra", BertForSequenceClassification, 15, edit=add_extra)
case("electra_mlm", ElectraForMaskedLM, 21)
case("electra_untied", ElectraForMaskedLM, 22, tie_word_embeddings=False, num_hidden_layers=1)
case("electra_rtd", ElectraForPreTraining, 23, hidden_act="relu")
case("electra_class", ElectraForSequenceClassification, 24, hidden_act="relu", embedding_size=32, id2label=three, label2id={v: k for k, v in three.items()})
case("electra_base", ElectraModel, 25, num_hidden_layers=3)
case("gpt2_lm", GPT2LMHeadModel, 31)
case("gpt2_untied", GPT2LMHeadModel, 32, tie_word_embeddings=False, n_layer=1, n_inner=None)
case("gpt2_plain", GPT2LMHeadModel, 33, edit=to_plain_names)
case("gpt2_class", GPT2ForSequenceClassification, 34, num_labels=3, pad_token_id=5)
case("gpt2_base", GPT2Model, 35, n_layer=3, scale_attn_by_inverse_layer_idx=True)
case("gpt2_unscaled", GPT2Model, 36, scale_attn_weights=False, activation_function="relu")
with open("versions.txt", "w") as f:
    for name, version in (("python", platform.python_version()), ("torch", torch.__version__), ("transformers", transformers.__version__),
                          ("safetensors", safetensors.__version__)):
        f.write(f"{name} {version}\n")
