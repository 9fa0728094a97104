"""Golden checkpoints for tests/io/test_{weights,safetensors,pickle}.c. Run in this folder: python3 make.py

Element i of a tensor is (i - 3) / 2 for floats, i - 3 for signed and i for unsigned integers, i odd for bool, so that the
tests know every value without a second file, and every dtype holds it exactly.
"""
import collections, json, os, platform, shutil, sys
import numpy, safetensors, safetensors.torch, torch

FLOATS = {"f32": torch.float32, "f16": torch.float16, "bf16": torch.bfloat16, "f64": torch.float64}
SIGNED = {"i64": torch.int64, "i32": torch.int32, "i16": torch.int16, "i8": torch.int8}


def fill(dtype, *shape):
    n = int(numpy.prod(shape)) if shape else 1
    i = torch.arange(n, dtype=torch.float64)
    if dtype == torch.bool:
        x = i % 2 == 1
    elif dtype == torch.uint8:
        x = i
    else:
        x = (i - 3) / 2 if dtype.is_floating_point else i - 3
    return x.to(dtype).reshape(shape)


def tensors():
    t = {k: fill(d, 3, 4) for k, d in {**FLOATS, **SIGNED}.items()}
    t["u8"], t["bool"] = fill(torch.uint8, 5), fill(torch.bool, 7)
    t["empty"] = fill(torch.float32, 0, 3)
    t["scalar"] = fill(torch.float32)
    t["a.long_row"] = fill(torch.float16, 77)
    t["näme \"q\" \\ \n \x01 \x7f \u2028 嗨"] = fill(torch.bfloat16, 2)
    return t


def views():
    """What only a pickle can hold: tensors that share and stride over storages."""
    base = fill(torch.float32, 3, 4)
    d = collections.OrderedDict(tensors())
    d["base"], d["tied"] = base, base
    d["transposed"] = base.t()
    d["slice"] = base[1:, 1:3]
    d["row"] = base[2]
    d["expanded"] = base[:, :1].expand(3, 5)
    d["permuted"] = fill(torch.bfloat16, 2, 3, 4).permute(2, 0, 1)
    d["step"], d["name"], d["list"], d["none"] = 12, "x", [1, 2.5, (3,)], None
    return d


def module():
    torch.manual_seed(0)
    m = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.BatchNorm1d(3))
    with torch.no_grad():
        m[0].weight.copy_(fill(torch.float32, 3, 2))
    return m


class Python2Dict:
    """Pickles itself as Python 2 pickled an OrderedDict: from a list of lists."""
    def __reduce__(self):
        return collections.OrderedDict, ([["w", fill(torch.float32, 2)], ["b", fill(torch.float32, 1)]],)


class Evil:
    def __reduce__(self):
        return os.system, ("echo this must never run",)


def main():
    safetensors.torch.save_file(tensors(), "all.safetensors", metadata={"format": "pt"})
    f8 = {"f8": torch.zeros(4, dtype=torch.float8_e4m3fn), "u16": torch.zeros(3, dtype=torch.uint16)}
    safetensors.torch.save_file(f8, "f8.safetensors", metadata={"format": "pt"})
    torch.save(f8, "f8.bin")
    torch.save(views(), "zip.bin")
    torch.save(views(), "legacy.bin", _use_new_zipfile_serialization=False)
    for p in (3, 4, 5):
        torch.save(views(), f"protocol{p}.bin", pickle_protocol=p)
    torch.save(views(), "legacy4.bin", pickle_protocol=4, _use_new_zipfile_serialization=False)
    torch.save(module().state_dict(), "module.bin")
    torch.save(collections.OrderedDict(module().named_parameters()), "parameter.bin")
    m = module()
    opt = torch.optim.AdamW(m.parameters())
    m(torch.ones(2, 2)).sum().backward()
    opt.step()
    m = module()
    for key in ("state_dict", "model_state_dict", "model"):
        torch.save({"epoch": 3, "loss": 0.5, "optimizer": opt.state_dict(), key: m.state_dict()}, f"nested_{key}.bin")
    torch.save(Python2Dict(), "python2.bin")
    torch.save({"w": fill(torch.float32, 2), "x": Evil()}, "evil.bin")
    torch.save({"w": fill(torch.float32, 2), "x": Evil()}, "evil_legacy.bin", _use_new_zipfile_serialization=False)
    torch.save([fill(torch.float32, 2)], "no_dict.bin")
    many = {f"layer.{i}.weight": fill(torch.float32, 2) for i in range(400)}  # memo beyond one byte
    torch.save(many, "many.bin", _use_new_zipfile_serialization=False)
    for folder, ext, save in (("sharded", "safetensors", lambda t, f: safetensors.torch.save_file(t, f, metadata={"format": "pt"})),
                              ("sharded_bin", "bin", torch.save)):
        os.makedirs(folder, exist_ok=True)
        stem = "model" if ext == "safetensors" else "pytorch_model"
        names, weight_map = [f"{stem}-0000{i}-of-00002.{ext}" for i in (1, 2)], {}
        for name, part in zip(names, ({"a": fill(torch.float32, 2, 3), "b": fill(torch.float16, 4)}, {"c": fill(torch.int64, 2)})):
            save(part, os.path.join(folder, name))
            weight_map.update({k: name for k in part})
        with open(os.path.join(folder, f"{stem}.{ext}.index.json"), "w") as f:
            json.dump({"metadata": {"total_size": 48}, "weight_map": weight_map}, f, indent=2)
    corpus = "../../fuzz/corpus"
    for kind, files in (("safetensors", ["all.safetensors", "f8.safetensors"]),
                        ("pickle", ["zip.bin", "legacy.bin", "protocol4.bin", "module.bin", "nested_model.bin", "python2.bin",
                                    "evil.bin", "evil_legacy.bin", "f8.bin"])):
        os.makedirs(f"{corpus}/{kind}", exist_ok=True)
        for f in files:
            shutil.copyfile(f, f"{corpus}/{kind}/{f}")
    with open("versions.txt", "w") as f:
        f.write(f"python {platform.python_version()}\ntorch {torch.__version__}\nsafetensors {safetensors.__version__}\n"
                f"numpy {numpy.__version__}\n")


if __name__ == "__main__":
    main()
