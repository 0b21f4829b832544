"""The golden pre-training weights as an old folder has them: PyTorch's pickle, `gamma` and `beta`, no `bert.` in front.

Run in a scratch environment (requirements.txt), after pretraining_parity.py:

    python scripts/reference/old_layout.py

Writes crates/bert-model/tests/golden/old_layout/{pytorch_model.bin, config.json}: the encoder and the pooler without the
heads of pre-training, and one tensor that no BERT has.
"""

import pathlib
import shutil

import torch
from safetensors.torch import load_file

GOLDEN = pathlib.Path(__file__).resolve().parents[2] / "crates/bert-model/tests/golden"
EXTRA = ("input.", "output.", "grad.", "adamw.", "original", "step3.", "cls.")


def old_name(name):
    name = name.removeprefix("bert.")
    if "LayerNorm" in name:
        name = name.replace(".weight", ".gamma").replace(".bias", ".beta")
    return name


if __name__ == "__main__":
    tensors = load_file(GOLDEN / "pretraining.safetensors")
    weights = {old_name(name): t for name, t in sorted(tensors.items()) if not name.startswith(EXTRA)}
    weights["embeddings.position_ids"] = torch.arange(24).unsqueeze(0)
    folder = GOLDEN / "old_layout"
    folder.mkdir(exist_ok=True)
    torch.save(weights, folder / "pytorch_model.bin")
    shutil.copy(GOLDEN / "pretraining.config.json", folder / "config.json")
    print(f"{len(weights)} tensors")
