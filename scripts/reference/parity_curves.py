"""Makes crates/bert-train/tests/golden/parity.json: losses of 200 steps of a BERT-Small on the CPU in f32, for several seeds.

    cargo build --release
    RAYON_NUM_THREADS=1 python3 scripts/reference/parity_curves.py --binary target/release/bert-train

What trains on a GPU is held against them (crates/bert-train/tests/gpu.rs): for the same seed the curve in f32 is nearly the same, and
in bf16 it differs by less than seeds do. About a minute a seed on one thread. The file is written after every seed, and seeds that it has
already are kept: remove it where parity.toml has changed. Needs nothing but the standard library.
"""

import argparse
import json
import subprocess
import tempfile
from pathlib import Path

GOLDEN = Path(__file__).resolve().parents[2] / "crates" / "bert-train" / "tests" / "golden"


def curve(binary, seed):
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        config = GOLDEN / "parity.toml"
        subprocess.run(
            [binary, "pretrain", "--config", config, "--set", f"seed={seed}", "--output", run],
            check=True, capture_output=True,
        )
        lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    train = [line for line in lines if line["kind"] == "train"]
    held_out = next(line for line in lines if line["kind"] == "final")
    return {
        "seed": seed,
        "steps": [line["step"] for line in train],
        "loss": [line["loss"] for line in train],
        "held_out_mlm_loss": held_out["mlm_loss"],
    }


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--binary", default="target/release/bert-train")
    parser.add_argument("--seeds", type=int, default=4)
    options = parser.parse_args()
    place = GOLDEN / "parity.json"
    curves = json.loads(place.read_text()) if place.exists() else []
    for seed in range(len(curves) + 1, options.seeds + 1):
        curves.append(curve(options.binary, seed))
        print(f"seed {seed}: {curves[-1]['loss'][0]:.3f} to {curves[-1]['loss'][-1]:.3f}", flush=True)
        rows = ",\n".join(json.dumps(curve) for curve in curves)
        place.write_text(f"[\n{rows}\n]\n")


if __name__ == "__main__":
    main()
