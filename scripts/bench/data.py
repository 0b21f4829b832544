"""The rate of `bert-data build` beside the tokenizers package and the original algorithm in Python, in one run.

    python scripts/bench/data.py --binary target/release/bert-data --vocab vocab.txt --original original_examples.py \
        [--rounds N] [--copies 20] WIKIEXTRACTOR_FOLDER NOVELS.txt

Ratios in one run are what counts: all take the same text, in turn, on the same cores. The build is the whole of it: reading,
cleaning, cutting into sentences, tokenising, pairing, writing. `encode_batch` tokenises lines that are in memory already.
The Python builders take a slice. `--copies` also builds that many copies of the corpora under 512 MiB. Peak memory is the
kernel's count of the process's resident pages (VmHWM). Needs the tokenizers package; Linux.
"""

import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def lines_of(path):
    for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
        if file.is_file():
            with open(file, encoding="utf-8") as text:
                yield from (line.strip() for line in text if line.strip() and not line.startswith(("<doc ", "</doc>")))


def encode_batch(vocab, lines):
    from tokenizers import BertWordPieceTokenizer

    tokenizer = BertWordPieceTokenizer(vocab, lowercase=True)
    begin = time.perf_counter()
    for at in range(0, len(lines), 10_000):
        tokenizer.encode_batch(lines[at : at + 10_000], add_special_tokens=False)
    return time.perf_counter() - begin


def build(options, inputs, folder, *more):
    """Seconds, peak memory in bytes, tokens and bytes on disk of one build."""
    output = folder / "dataset"
    command = [options.binary, "build", "--input", *map(str, inputs), "--tokenizer", options.vocab, "--part", "none"]
    command += ["--output", str(output), *more]
    begin = time.perf_counter()
    messages = folder / "messages.txt"
    with open(messages, "wb") as out:
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=out)
    peak = 0
    while process.poll() is None:
        try:
            status = Path(f"/proc/{process.pid}/status").read_text()
            found = re.search(r"VmHWM:\s+(\d+) kB", status)
            peak = max(peak, int(found[1]) * 1024 if found else 0)
        except OSError:
            pass
        time.sleep(0.02)
    seconds = time.perf_counter() - begin
    if process.returncode:
        sys.exit(messages.read_text())
    # Those of the examples: random second segments are copies, so they are more than the corpus has.
    tokens = sum(file["tokens"] for file in json.loads((output / "manifest.json").read_text())["files"])
    size = sum(file.stat().st_size for file in output.rglob("*.arrow"))
    shutil.rmtree(output)
    return seconds, peak, tokens, size


def original(options, lines, tokenizer, megabytes, copies, folder):
    """MB/s of text of the original algorithm, as its own clock states it."""
    text, size = folder / f"slice-{tokenizer}.txt", 0
    with open(text, "w", encoding="utf-8") as out:
        for i, line in enumerate(lines):
            # One sentence a line, about; a document is 200 of them.
            for sentence in re.split(r"(?<=[.!?]) +", line):
                out.write(sentence + "\n")
            out.write("\n" if i % 60 == 59 else "")
            size += len(line.encode()) + 1
            if size > megabytes * 1e6:
                break
    command = [sys.executable, options.original, "--vocab", options.vocab, "--tokenizer", tokenizer]
    done = subprocess.run([*command, "--dupe-factor", str(copies), str(text)], capture_output=True, text=True, check=True)
    rates = re.findall(r"([\d.]+) MB/s", done.stdout + done.stderr)
    return float(rates[-1])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("corpora", type=Path, nargs="+")
    parser.add_argument("--binary", required=True)
    parser.add_argument("--vocab", required=True)
    parser.add_argument("--original", help="scripts/reference/original_examples.py")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--copies", type=int, default=0)
    options = parser.parse_args()
    lines = [line for path in options.corpora for line in lines_of(path)]
    size = sum(len(line.encode()) + 1 for line in lines) / 1e6
    print(f"{size:.1f} MB of text in {len(lines)} lines, {os.cpu_count()} cores", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        ours, theirs = [], []
        originals = {("fast", 4): [], ("python", 1): []} if options.original else {}
        for _ in range(options.rounds):
            theirs.append(size / encode_batch(options.vocab, lines))
            ours.append(build(options, options.corpora, folder, "--memory", "512MiB"))
            for (tokenizer, megabytes), rates in originals.items():
                rates.append(original(options, lines, tokenizer, megabytes, 5, folder))
        seconds = statistics.median(seconds for seconds, *_ in ours)
        peak = max(peak for _, peak, *_ in ours)
        _, _, tokens, disk = ours[0]
        rate, library = size / seconds, statistics.median(theirs)
        print(f"build {rate:.2f} MB/s, peak {peak / 2**20:.0f} MiB, {disk / tokens:.3f} bytes a token of {tokens}", flush=True)
        print(f"encode_batch {library:.2f} MB/s: build {rate / library:.2f} times as fast", flush=True)
        for (tokenizer, _), rates in originals.items():
            slow = statistics.median(rates)
            print(f"original, {tokenizer} {slow:.3f} MB/s: build {rate / slow:.1f} times as fast", flush=True)
        if options.copies:
            places = []
            for copy in range(options.copies):
                place = folder / f"copy-{copy}"
                place.mkdir()
                for path in options.corpora:
                    (place / path.name).symlink_to(path.resolve())
                places += [place / path.name for path in options.corpora]
            # Every document comes `copies` times: de-duplication would leave one of them.
            more = ["--memory", "512MiB", "--keep-duplicates", "--line-repeats", "0"]
            seconds, peak, tokens, _ = build(options, places, folder, *more)
            rate = size * options.copies / seconds
            print(f"{options.copies} copies: {rate:.2f} MB/s, peak {peak / 2**20:.0f} MiB, {tokens} tokens", flush=True)


if __name__ == "__main__":
    main()
