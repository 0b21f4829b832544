"""Runs `bert-train bench` and PyTorch in alternation and prints a table of medians and ratios.

    cargo build --release
    python3 scripts/bench/compare.py --python ../oracle/bin/python --case pretrain,base,8,128 --case encode,base,1,128

A case is WORK,MODEL,BATCH,LENGTH; LENGTH is a number of tokens or a file with one length a line (`lengths.py` makes
them from a task's text). Every round runs each contestant once, in a process of its own, and the order turns round from
one round to the next, so that a slow minute of the machine meets all of them. A ratio is the median over the rounds of
ours / theirs within the round: tokens a second (above 1: we are faster) and peak memory (below 1: we take less).

On a GPU: --device cuda --precision bf16 --styles best,compiled; memory is then the GPU's. A style may be `compiled`, which is `best` through
torch.compile, or `flash_attention_2`, where that package is installed.

Nothing but the standard library is needed here; --python is an interpreter with torch and transformers.
--preload is a library such as tcmalloc for the PyTorch side: its allocator is part of PyTorch at its best.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# Contestants that are more than a style of pytorch_step.py.
STYLES = {
    "compiled": ["--style", "best", "--compile"],
    "flash_attention_2": ["--style", "best", "--attention", "flash_attention_2"],
}


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--binary", default=str(ROOT / "target" / "release" / "bert-train"))
    parser.add_argument("--case", action="append", required=True, metavar="WORK,MODEL,BATCH,LENGTH")
    parser.add_argument("--styles", default="best", help="with commas: best, common, onnx, compiled, flash_attention_2")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--precision", choices=["f32", "tf32", "bf16"], default="f32")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=6, help="measured steps a process")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--preload", help="LD_PRELOAD of the PyTorch side")
    parser.add_argument("--log", type=Path, help="append every measurement to this file, one JSON line each")
    return parser.parse_args()


def command(options, contestant, case):
    work, model, batch, length = case
    sizes = ["--work", work, "--model", model, "--batch", batch, "--steps", str(options.steps)]
    sizes += ["--seq-len", length] if length.isdigit() else ["--lengths", length]
    if contestant == "ours":
        return [options.binary, "bench", *sizes, "--device", options.device, "--precision", options.precision, "--json"]
    script = str(Path(__file__).with_name("pytorch_step.py"))
    style = STYLES.get(contestant, ["--style", contestant])
    place = ["--device", options.device, "--dtype", options.precision, "--threads", str(options.threads)]
    return [options.python, script, *sizes, *style, *place]


def measure(options, contestant, case):
    environment = dict(os.environ, RAYON_NUM_THREADS=str(options.threads), OMP_NUM_THREADS=str(options.threads))
    if options.preload and contestant != "ours":
        environment["LD_PRELOAD"] = options.preload
    done = subprocess.run(command(options, contestant, case), env=environment, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{contestant} failed on {','.join(case)}:\n{done.stderr}")
    result = json.loads(done.stdout.strip().splitlines()[-1])
    if options.log:
        with options.log.open("a") as log:
            log.write(json.dumps({"contestant": contestant, "case": case, **result}) + "\n")
    return result


def main():
    options = arguments()
    memory = "device_memory_mib" if options.device == "cuda" else "peak_memory_mib"
    contestants = ["ours", *options.styles.split(",")]
    print("| case | contestant | step ms | tokens/s | memory MiB | ours faster by | our memory |")
    print("|---|---|---|---|---|---|---|")
    for text in options.case:
        case = text.split(",")
        if len(case) != 4:
            sys.exit(f"--case {text}: give WORK,MODEL,BATCH,LENGTH")
        rounds = []
        for number in range(options.rounds):
            order = contestants if number % 2 == 0 else contestants[::-1]
            rounds.append({contestant: measure(options, contestant, case) for contestant in order})
        for contestant in contestants:
            of = lambda key: statistics.median(one[contestant][key] for one in rounds)
            ratio = lambda key: statistics.median(one["ours"][key] / one[contestant][key] for one in rounds)
            compared = ("", "")
            if contestant != "ours":
                compared = (f"{ratio('tokens_per_second'):.2f}", f"{ratio(memory):.2f}")
            name = Path(case[3]).name
            print(
                f"| {case[0]} {case[1]} {case[2]} x {name} | {contestant} | {of('step_ms'):.1f} "
                f"| {of('tokens_per_second'):.0f} | {of(memory):.0f} | {compared[0]} | {compared[1]} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
