"""Loads each checkpoint in a folder as transformers does, and compares its outputs with those that assay computed before saving.

    python3 tests/model/roundtrip.py FOLDER      FOLDER/CASE: what was saved; FOLDER/CASE.out: assay's outputs, raw float32

A checkpoint must load without a missing or unexpected key and without a warning. Run by test_save.c.
"""
import json, logging, os, sys, warnings

os.environ["HF_HUB_OFFLINE"] = "1"
import numpy, torch, transformers
from safetensors.torch import load_file

GOLDEN = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "golden", "model")
torch.set_num_threads(1)
transformers.utils.logging.disable_progress_bar()
heard = []


class Ear(logging.Handler):
    def emit(self, record):
        heard.append(record.getMessage())


transformers.utils.logging.get_logger().addHandler(Ear(logging.WARNING))


def outputs(model, name):
    x = load_file(f"{GOLDEN}/{name}/expected.safetensors")
    begin, rows = x["begin"].tolist(), []
    with torch.no_grad():
        for a, b in zip(begin, begin[1:]):
            more = {} if model.config.model_type == "gpt2" else {"token_type_ids": x["types"][None, a:b].long()}
            y = model(input_ids=x["ids"][None, a:b].long(), **more)[0]
            y = y[0][:, None] if model.config.architectures == ["ElectraForPreTraining"] else y
            rows.append(y[0] if y.dim() == 3 else y)
    y = torch.cat(rows)
    return (y[x["want"]] if model.config.architectures[0].endswith(("MaskedLM", "LMHeadModel")) else y).numpy()


def check(folder, name):
    """What is wrong, or None."""
    heard.clear()
    with open(f"{folder}/{name}/config.json") as f:
        architecture = json.load(f)["architectures"][0]
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        model, info = getattr(transformers, architecture).from_pretrained(f"{folder}/{name}", output_loading_info=True)
    model.eval()
    if any(info.get(k) for k in ("missing_keys", "unexpected_keys", "mismatched_keys", "error_msgs")):
        return f"loading info {info}"
    if said or heard:
        return f"warnings {[str(w.message) for w in said]} {heard}"
    if any(p.dtype != torch.float32 for p in model.parameters()):
        return "not fp32"
    theirs = outputs(model, name)
    ours = numpy.fromfile(f"{folder}/{name}.out", dtype=numpy.float32).reshape(theirs.shape)
    worst = float(numpy.abs(ours - theirs).max())
    return None if worst < 1e-5 else f"outputs differ by {worst}"


failed = 0
for case in sorted(e.name for e in os.scandir(sys.argv[1]) if e.is_dir()):
    why = check(sys.argv[1], case)
    print(f"not ok {case}: {why}" if why else f"ok {case}")
    failed += why is not None
sys.exit(failed != 0)
