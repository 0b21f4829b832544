"""Shared by the makers of golden files: determinism, versions, small models, writing.

Not run by itself. Every maker beside it follows the same rules: one thread, fixed seeds, deterministic
algorithms, and the versions that were used written into the metadata of each file.
"""

import copy
import json
import os
import platform
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import torch
from safetensors.torch import save_file

ROOT = Path(__file__).resolve().parents[2]
MODEL_GOLDEN = ROOT / "crates" / "bert-model" / "tests" / "golden"
DATA_GOLDEN = ROOT / "crates" / "bert-data" / "tests" / "golden"


def shared_data():
    """The folder of real corpora, vocabularies and weights: $BERT_SHARED_DATA or ../shared/data."""
    folder = Path(os.environ.get("BERT_SHARED_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        raise SystemExit(f"{folder} is missing: set BERT_SHARED_DATA to the folder of shared test data")
    return folder


def make_deterministic(seed):
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    torch.manual_seed(seed)


def versions():
    import numpy
    import safetensors
    import tokenizers
    import transformers

    return {
        "python": platform.python_version(),
        "torch": torch.__version__.split("+")[0],
        "transformers": transformers.__version__,
        "tokenizers": tokenizers.__version__,
        "safetensors": safetensors.__version__,
        "numpy": numpy.__version__,
    }


def small_config(**changes):
    """A BERT small enough to commit, with every size different from the others where it can be."""
    from transformers import BertConfig

    settings = dict(
        vocab_size=120,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=24,
        type_vocab_size=2,
        hidden_act="gelu",
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        layer_norm_eps=1e-12,
        pad_token_id=0,
    )
    settings.update(changes)
    config = BertConfig(**settings)
    config._attn_implementation = "eager"
    return config


def randomise(model, seed):
    """Weights far larger than a trained model's, random gains and biases: no gradient is tiny by accident."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, value in model.named_parameters():
            noise = torch.randn(value.shape, generator=generator)
            if name.endswith("LayerNorm.weight"):
                value.copy_(1.0 + 0.3 * noise)
            else:
                value.copy_(0.3 * noise)
    model.eval()


def batch(config, lengths, seconds, width, seed):
    """`len(lengths)` random sequences padded to `width`; `seconds[i]` is the first index of segment 1."""
    generator = torch.Generator().manual_seed(seed)
    size = len(lengths)
    ids = torch.zeros(size, width, dtype=torch.int64)
    types = torch.zeros_like(ids)
    mask = torch.zeros_like(ids)
    for row, (length, second) in enumerate(zip(lengths, seconds)):
        ids[row, :length] = torch.randint(5, config.vocab_size, (length,), generator=generator)
        types[row, second:length] = 1
        mask[row, :length] = 1
    return ids, types, mask


def named_weights(model):
    """The weights as `save_pretrained` writes them: Hugging Face names, the tied decoder once."""
    import tempfile

    from safetensors.torch import load_file

    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        return load_file(Path(folder) / "model.safetensors")


def named_gradients(model, prefix="grad."):
    """The gradient of every parameter under the name its weight has (`named_parameters` gives tied ones once)."""
    gradients = {}
    for name, value in model.named_parameters():
        assert value.grad is not None, f"{name} has no gradient"
        gradients[prefix + name] = value.grad.detach().clone()
    return gradients


def in_double(model):
    twin = copy.deepcopy(model).double()
    twin.tie_weights()
    return twin


def relative_difference(first, second):
    """Largest over the tensors of |a - b| / |b| (Euclidean norms), and the tensor's name.

    The key biases are left out: softmax does not see a constant added to a row of scores, so their true
    gradient is zero and what floating point leaves is noise.
    """
    worst = (0.0, "")
    for name, value in second.items():
        if name.endswith("attention.self.key.bias"):
            continue
        difference = (first[name].double() - value.double()).norm() / value.double().norm()
        worst = max(worst, (difference.item(), name))
    return worst


def save(path, tensors, metadata):
    """Writes a golden file; how it was made stands in its metadata, as JSON under the key `made`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # One key: safetensors writes several in a random order, and the same run must give the same bytes.
    described = json.dumps({"versions": versions(), **metadata}, sort_keys=True)
    save_file(
        {name: value.detach().contiguous().clone() for name, value in tensors.items()},
        path,
        metadata={"made": described},
    )
    path.chmod(0o644)
    print(f"{path.relative_to(ROOT)}: {len(tensors)} tensors, {path.stat().st_size:,} bytes")
    for key, value in metadata.items():
        print(f"  {key}: {value}")


def save_config(path, config):
    """The keys of `config.json` that describe the model (what a reader of ours must understand)."""
    keys = [
        "vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size",
        "hidden_act", "hidden_dropout_prob", "attention_probs_dropout_prob", "max_position_embeddings",
        "type_vocab_size", "initializer_range", "layer_norm_eps", "pad_token_id",
    ]
    values = {"architectures": ["BertForPreTraining"], "model_type": "bert"}
    values.update({key: getattr(config, key) for key in keys})
    path.write_text(json.dumps(values, indent=2) + "\n")
