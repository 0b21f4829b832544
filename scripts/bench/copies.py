"""Peak memory of `bert-data build` over several copies of a corpus.

    python scripts/bench/copies.py --program target/release/bert-data --tokenizer DIR --copies 20 CORPUS...

Copies are links, so they take no disk; the output does, about 3 bytes a byte of corpus with duplicates kept. It is removed
afterwards. Without --keep-duplicates all copies but the first are dropped as such, which is the lighter case.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("corpus", nargs="+", type=Path)
parser.add_argument("--program", default="target/release/bert-data")
parser.add_argument("--tokenizer", required=True)
parser.add_argument("--copies", type=int, default=20)
parser.add_argument("--memory", default="512MiB")
parser.add_argument("--keep-duplicates", action="store_true")
args = parser.parse_args()

with tempfile.TemporaryDirectory(prefix="copies-") as folder:
    folder = Path(folder)
    for copy in range(args.copies):
        (folder / "corpus" / f"{copy:03}").mkdir(parents=True)
        for corpus in args.corpus:
            os.symlink(corpus.resolve(), folder / "corpus" / f"{copy:03}" / corpus.name)
    command = [args.program, "build", "--input", folder / "corpus", "--tokenizer", args.tokenizer]
    command += ["--memory", args.memory, "--output", folder / "out"]
    # Twenty times the same corpus has every line twenty times.
    command += ["--keep-duplicates", "--line-repeats", "0"] if args.keep_duplicates else []
    begin = time.time()
    if code := subprocess.run(command).returncode:
        sys.exit(code)
    manifest = json.loads((folder / "out" / "manifest.json").read_text())
    files = manifest["inputs"]
    print(json.dumps({
        "copies": args.copies,
        "input_bytes": sum(file["bytes"] for file in files),
        "examples": sum(split["examples"] for split in manifest["splits"]),
        "tokens": manifest["corpus"]["tokens"],
        "seconds": round(time.time() - begin, 1),
        "limit": args.memory,
        # Of the one child there was; Linux gives KiB.
        "peak_mib": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024,
    }))
