"""Times PyTorch's BERT pre-training step, to hold `bert-train bench` against.

Run in a scratch environment (see requirements.txt beside this file), with nothing else on the machine:

    python scripts/reference/training_step_bench.py --model tiny --batch 32 --seq-len 128 --steps 20 --threads 2
    python scripts/reference/training_step_bench.py --model base --style common ..

One step: forward, MLM + NSP loss, backward, clipping to global norm 1, AdamW, in float32 with dropout .1, on full-length
random sequences of which 15% are predicted. Two styles:

    best     the MLM head on the predicted positions only, scaled-dot-product attention, fused AdamW;
             with --compile also torch.compile
    common   Hugging Face's forward with labels (logits of every position), eager attention, AdamW's default loop

Prints one JSON line: median and fastest milliseconds a step, tokens a second (at the median), peak resident memory.
"""

import argparse
import json
import resource
import statistics
import time

import torch

import common

MODELS = {  # layers, hidden
    "tiny": (2, 128),
    "mini": (4, 256),
    "small": (4, 512),
    "medium": (8, 512),
    "base": (12, 768),
    "large": (24, 1024),
}
MASK = 103


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", choices=MODELS, default="tiny")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--seq-len", type=int, default=128)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--warmup", type=int, default=3, help="steps before the timed ones")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--style", choices=["best", "common"], default="best")
    parser.add_argument("--compile", action="store_true", help="torch.compile the forward (style best)")
    return parser.parse_args()


def make_model(options):
    from transformers import BertConfig, BertForPreTraining

    layers, hidden = MODELS[options.model]
    config = BertConfig(
        num_hidden_layers=layers,
        hidden_size=hidden,
        num_attention_heads=hidden // 64,
        intermediate_size=4 * hidden,
        max_position_embeddings=max(512, options.seq_len),
    )
    config._attn_implementation = "sdpa" if options.style == "best" else "eager"
    return BertForPreTraining(config).train()


def make_batch(options, vocabulary):
    size = (options.batch, options.seq_len)
    ids = torch.randint(1000, vocabulary, size)
    labels = torch.full(size, -100)
    predicted = max(1, round(0.15 * options.seq_len))
    for row in range(options.batch):
        positions = torch.randperm(options.seq_len - 2)[:predicted] + 1
        labels[row, positions] = ids[row, positions]
        ids[row, positions] = MASK
    types = (torch.arange(options.seq_len) >= options.seq_len // 2).long().expand(size).contiguous()
    return ids, types, torch.ones(size, dtype=torch.int64), labels, torch.randint(0, 2, (options.batch,))


def best_loss(model, batch):
    """Logits of the predicted positions only."""
    ids, types, _, labels, next_sentence = batch
    # Full-length sequences need no attention mask.
    output = model.bert(input_ids=ids, token_type_ids=types)
    rows = (labels.view(-1) != -100).nonzero().squeeze(1)
    chosen = output.last_hidden_state.flatten(0, 1).index_select(0, rows)
    logits, kinds = model.cls(chosen, output.pooler_output)
    cross_entropy = torch.nn.functional.cross_entropy
    return cross_entropy(logits, labels.view(-1)[rows]) + cross_entropy(kinds, next_sentence)


def common_loss(model, batch):
    ids, types, mask, labels, next_sentence = batch
    return model(
        input_ids=ids, token_type_ids=types, attention_mask=mask, labels=labels, next_sentence_label=next_sentence
    ).loss


def main():
    options = arguments()
    torch.manual_seed(0)
    torch.set_num_threads(options.threads)
    model = make_model(options)
    batch = make_batch(options, model.config.vocab_size)
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-4, eps=1e-6, weight_decay=0.01, fused=options.style == "best")
    loss_of = best_loss if options.style == "best" else common_loss
    if options.compile:
        loss_of = torch.compile(loss_of)

    def step():
        loss = loss_of(model, batch)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        return loss

    for _ in range(options.warmup):
        step()
    times = []
    for _ in range(options.steps):
        start = time.perf_counter()
        last = step()
        times.append(1000.0 * (time.perf_counter() - start))
    median = statistics.median(times)
    print(json.dumps({
        "model": options.model,
        "style": options.style + ("+compile" if options.compile else ""),
        "batch": options.batch,
        "seq_len": options.seq_len,
        "steps": options.steps,
        "threads": options.threads,
        "median_ms": round(median, 2),
        "fastest_ms": round(min(times), 2),
        "tokens_per_second": round(1000.0 * options.batch * options.seq_len / median),
        "peak_rss_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        "last_loss": round(last.item(), 4),
        "torch": common.versions()["torch"],
        "transformers": common.versions()["transformers"],
    }))


if __name__ == "__main__":
    main()
