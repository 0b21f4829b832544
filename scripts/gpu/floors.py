#!/usr/bin/env python3
"""Bytes and operations of each kernel of a pre-training step in bf16, and the least time they take on a GPU.

A floor is the longest of three times: bytes at the rate of memory, multiplications of the tensor cores at theirs, and the integer
instructions of Philox, where a kernel draws a mask, at 64 a cycle and multiprocessor. What the caches save or launches cost is not in it.

    python3 scripts/gpu/floors.py base 256 128
    python3 scripts/gpu/floors.py large 32 512
"""
import sys

MODELS = {  # layers, H, heads, I
    "base": (12, 768, 12, 3072),
    "large": (24, 1024, 16, 4096),
}
VOCABULARY, MASKED = 30522, 0.15
# FLOP/s of dense bf16, bytes/s, integer instructions/s.
CHIPS = {"A100": (312e12, 2.0e12, 108 * 64 * 1.41e9), "H100": (989e12, 3.35e12, 132 * 64 * 1.75e9)}
# Ten rounds of two wide multiplications, four exclusive ors and two additions decide on eight elements; three more to use a bit.
DRAW = 10 * 8 / 8 + 3


def kernels(model, batch, length):
    """(name, times a step, bytes, FLOP, elements of masks drawn): all T tokens real, the last layer like the others."""
    layers, hidden, heads, inner = MODELS[model]
    rows = batch * length
    wide, scores = rows * hidden, heads * rows * length
    masked = int(MASKED * rows)
    parameters = layers * (4 * hidden * hidden + 2 * hidden * inner + 13 * hidden) + (VOCABULARY + 512) * hidden

    def product(m, n, k, result=2, onto=False):
        return 2 * (m * k + k * n) + (result * m * n) * (2 if onto else 1), 2 * m * n * k

    def of_weight(outputs, inputs, count=rows):
        return product(outputs, inputs, count, result=4, onto=True)

    nothing = (0, 0)
    yield "embedding, forward", 1, 14 * wide, 0, 0
    yield "embedding, backward (three tables)", 1, 3 * 2 * wide, 0, 0
    yield "norm and dropout of the embeddings", 1, (6 + 4 + 4 + 6) * wide, 0, 2 * wide
    for name, (moved, flop) in {
        "queries, keys, values": product(rows, 3 * hidden, hidden),
        "output": product(rows, hidden, hidden),
        "up": product(rows, inner, hidden),
        "down": product(rows, hidden, inner),
    }.items():
        yield f"product: {name}, forward", layers, moved, flop, 0
    for name, pair in {
        "queries, keys, values": (product(rows, hidden, 3 * hidden, onto=True), of_weight(3 * hidden, hidden)),
        "output": (product(rows, hidden, hidden), of_weight(hidden, hidden)),
        "up": (product(rows, hidden, inner, onto=True), of_weight(inner, hidden)),
        "down": (product(rows, inner, hidden), of_weight(hidden, inner)),
    }.items():
        moved, flop = map(sum, zip(*pair, nothing))
        yield f"products: {name}, backward", layers, moved, flop, 0
    yield "attention, forward", layers, 8 * wide, 4 * wide * length, scores
    yield "attention, backward, queries", layers, 12 * wide + scores / 8, 6 * wide * length, scores
    yield "attention, backward, keys and values", layers, 12 * wide + scores / 8, 8 * wide * length, 0
    yield "column sums of its gradient", layers, 6 * wide, 0, 0
    yield "norm, forward", 2 * layers, 8 * wide, 0, wide
    yield "norm, backward", 2 * layers, 8 * wide, 0, wide
    yield "GELU, forward", layers, 4 * rows * inner, 0, 0
    yield "GELU, backward", layers, 8 * rows * inner, 0, 0
    yield "candle's graph: a copy, a zeroing and an addition a node", 4, 12 * wide, 0, 0
    moved, flop = map(sum, zip(product(masked, VOCABULARY, hidden), product(masked, hidden, VOCABULARY),
                               of_weight(VOCABULARY, hidden, masked)))
    yield "head: products with the vocabulary", 1, moved, flop, 0
    yield "head: cross-entropy, scaling, sums", 1, (6 + 4 + 2) * masked * VOCABULARY, 0, 0
    yield "gradients: zeroed, norm", 1, 8 * parameters, 0, 0
    yield "AdamW", 1, 30 * parameters, 0, 0


def main(model, batch, length):
    rows = list(kernels(model, int(batch), int(length)))
    floors = []
    for _, times, moved, flop, drawn in rows:
        floors.append([times * 1e6 * max(flop / tensor, moved / memory, DRAW * drawn / integer)
                       for tensor, memory, integer in CHIPS.values()])
    totals = [sum(column) for column in zip(*floors)]
    print("| kernel | times | MB | GFLOP | " + " | ".join(f"{chip}, µs | share" for chip in CHIPS) + " |")
    print("|---|---" + "|---" * (2 + 2 * len(CHIPS)) + "|")
    for (name, times, moved, flop, _), floor in zip(rows, floors):
        cells = " | ".join(f"{f / times:,.0f} | {f / total:.1%}" for f, total in zip(floor, totals))
        print(f"| {name} | {times} | {moved / 1e6:,.0f} | {flop / 1e9:,.1f} | {cells} |")
    work = sum(times * flop for _, times, _, flop, _ in rows)
    cells = " | ".join(f"{total:,.0f} | {work / (total * 1e-6) / chip[0]:.0%} of its peak"
                       for total, chip in zip(totals, CHIPS.values()))
    moved = sum(times * m for _, times, m, _, _ in rows)
    print(f"| all of a step | | {moved / 1e6:,.0f} | {work / 1e9:,.0f} | {cells} |")


if __name__ == "__main__":
    if len(sys.argv) != 4 or sys.argv[1] not in MODELS:
        sys.exit(__doc__)
    main(*sys.argv[1:])
