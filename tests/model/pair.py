"""Loads what assay saved of ELECTRA's two models as transformers does: FOLDER the discriminator, FOLDER/generator the generator.

    python3 tests/model/pair.py FOLDER      prints ok, or what is wrong. Run by test_pair.c.
"""
import logging, os, sys, warnings

os.environ["HF_HUB_OFFLINE"] = "1"
import torch, transformers

torch.set_num_threads(1)
transformers.utils.logging.disable_progress_bar()
heard = []


class Ear(logging.Handler):
    def emit(self, record):
        heard.append(record.getMessage())


transformers.utils.logging.get_logger().addHandler(Ear(logging.WARNING))
models = []
for cls, path in ((transformers.ElectraForPreTraining, sys.argv[1]), (transformers.ElectraForMaskedLM, f"{sys.argv[1]}/generator")):
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        model, info = cls.from_pretrained(path, output_loading_info=True)
    if said or heard or any(info.get(k) for k in ("missing_keys", "unexpected_keys", "mismatched_keys", "error_msgs")):
        sys.exit(f"{path}: {[str(w.message) for w in said]} {heard} {info}")
    if model.config.architectures != [cls.__name__]:
        sys.exit(f"{path}: {model.config.architectures}")
    models.append(model)
d, g = models
for name, p in d.electra.embeddings.named_parameters():
    if not torch.equal(p, dict(g.electra.embeddings.named_parameters())[name]):
        sys.exit(f"{name} is not shared")
print("ok", d.config.hidden_size, g.config.hidden_size, g.config.num_attention_heads, g.config.intermediate_size, g.config.embedding_size)
