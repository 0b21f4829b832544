"""Draws the held-out loss of a run as an SVG file. Needs nothing but the standard library.

    python3 scripts/loss_curve.py RUN/metrics.jsonl docs/loss.svg --title "A Tiny BERT from real text"
"""

import argparse
import json
from html import escape
from pathlib import Path

WIDTH, HEIGHT, LEFT, BOTTOM, TOP, RIGHT = 720, 400, 56, 44, 36, 16
COLOURS = ["#1b6ca8", "#c0562f", "#3d8b52", "#7a5195"]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("metrics", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--title", default="Held-out loss of the masked-language model")
    options = parser.parse_args()
    lines = [json.loads(line) for line in options.metrics.read_text().splitlines()]
    points = [(line["step"], line["mlm_loss"], line["phase"]) for line in lines if line["kind"] in ("validation", "final")]
    if not points:
        raise SystemExit(f"{options.metrics}: holds no held-out measurement")
    baseline = next(line["unigram_loss"] for line in lines if line["kind"] in ("validation", "final"))
    last = max(step for step, _, _ in points)
    low, high = int(min(loss for _, loss, _ in points)), max(baseline, *(loss for _, loss, _ in points)) + 0.2
    x = lambda step: LEFT + (WIDTH - LEFT - RIGHT) * step / last
    y = lambda loss: TOP + (HEIGHT - TOP - BOTTOM) * (high - loss) / (high - low)
    text = lambda px, py, words, anchor="middle": (
        f'<text x="{px:.0f}" y="{py:.0f}" text-anchor="{anchor}">{escape(words)}</text>'
    )
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        text(WIDTH / 2, 20, options.title),
        text(WIDTH / 2, HEIGHT - 8, "step"),
        f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(baseline):.1f}" y2="{y(baseline):.1f}" stroke="#888" stroke-dasharray="5 4"/>',
        text(WIDTH - RIGHT, y(baseline) - 5, f"token frequencies alone: {baseline:.2f}", "end"),
    ]
    for loss in range(low, int(high) + 1):
        parts.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(loss):.1f}" y2="{y(loss):.1f}" stroke="#e4e4e4"/>')
        parts.append(text(LEFT - 8, y(loss) + 4, str(loss), "end"))
    for step in range(0, last + 1, max(1, int(round(last / 6, -3)))):
        parts.append(text(x(step), HEIGHT - BOTTOM + 18, f"{step:,}"))
    for phase in sorted({phase for _, _, phase in points}):
        of_phase = [(step, loss) for step, loss, own in points if own == phase]
        colour = COLOURS[phase % len(COLOURS)]
        path = " ".join(f"{x(step):.1f},{y(loss):.1f}" for step, loss in of_phase)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{x(step):.1f}" cy="{y(loss):.1f}" r="2.5" fill="{colour}"/>' for step, loss in of_phase]
        middle = of_phase[len(of_phase) // 2]
        parts.append(text(x(middle[0]), y(middle[1]) - 10, f"phase {phase + 1}"))
    options.output.write_text("\n".join([*parts, "</svg>"]) + "\n")


if __name__ == "__main__":
    main()
