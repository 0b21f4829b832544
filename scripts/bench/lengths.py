"""Writes the lengths of a GLUE task's training examples in tokens, one a line, in a fixed random order.

    python scripts/bench/lengths.py --task MRPC --data glue --vocab vocab.txt --output mrpc.lengths

`bert-train bench --lengths` and `pytorch_step.py --lengths` take them in turn: real batches of unequal length, the same for
both. Needs the tokenizers package.
"""

import argparse
import random
from pathlib import Path

from tokenizers import BertWordPieceTokenizer

COLUMNS = {"MRPC": (3, 4), "SST-2": (0, None), "STS-B": (7, 8)}
LONGEST, SHORTEST = 128, 8


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--task", choices=COLUMNS, required=True)
    parser.add_argument("--data", type=Path, required=True, help="the folder that holds the task's folder")
    parser.add_argument("--vocab", required=True)
    parser.add_argument("--output", type=Path, required=True)
    options = parser.parse_args()
    tokenizer = BertWordPieceTokenizer(options.vocab, lowercase=True)
    first, second = COLUMNS[options.task]
    lengths = []
    lines = (options.data / options.task / "train.tsv").read_text(encoding="utf-8-sig").splitlines()
    for line in lines[1:]:
        columns = line.split("\t")
        if len(columns) > (second or first):
            pair = columns[second] if second else None
            lengths.append(min(LONGEST, max(SHORTEST, len(tokenizer.encode(columns[first], pair).ids))))
    random.Random(0).shuffle(lengths)
    options.output.write_text("".join(f"{length}\n" for length in lengths))


if __name__ == "__main__":
    main()
