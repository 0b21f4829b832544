"""Times steps of BERT in PyTorch with Transformers, to hold `bert-train bench` against. `compare.py` runs both.

    python scripts/bench/pytorch_step.py --work pretrain --model base --batch 8 --seq-len 128 --steps 10 --threads 2

On a GPU: `--device cuda --dtype bf16` (autocast over f32 weights) or tf32, with `--compile` and `--attention`.

Works, in float32 unless --dtype says otherwise:

    pretrain   forward, MLM + NSP loss, backward, clipping to global norm 1, AdamW, dropout .1; 15% of the tokens predicted
    finetune   the same with a classifier of two classes
    encode     hidden states, no gradients

Styles:

    best       the MLM head on the predicted positions only, scaled-dot-product attention, fused AdamW
    common     as people run it: logits of every position, eager attention, AdamW's default loop
    onnx       encode only: ONNX Runtime on the exported graph

With --lengths (a file with one length a line, which the sequences take in turn) every batch is padded to its longest
sequence, as Transformers' collators do. `--attention flash_attention_2`, where that package is installed, takes padding out inside of
attention; it is all the unpadding that Transformers offers for BERT. Prints one JSON line: median and fastest milliseconds a step, real
tokens a second (at the median where all steps are alike, else over all of them), peak resident memory, peak memory of the GPU.
"""

import argparse
import contextlib
import json
import resource
import statistics
import tempfile
import time
from pathlib import Path

import torch

MODELS = {  # layers, hidden
    "tiny": (2, 128),
    "mini": (4, 256),
    "small": (4, 512),
    "medium": (8, 512),
    "base": (12, 768),
    "large": (24, 1024),
}
MASK = 103
WARM_UP = 2  # compiling happens in the first


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--work", choices=["pretrain", "finetune", "encode"], default="pretrain")
    parser.add_argument("--style", choices=["best", "common", "onnx"], default="best")
    parser.add_argument("--compile", action="store_true", help="torch.compile the forward (style best)")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--dtype", choices=["f32", "tf32", "bf16"], default="f32")
    parser.add_argument("--attention", help="Transformers' implementation; left out: sdpa, and eager for the style common")
    parser.add_argument("--model", choices=MODELS, default="tiny")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--seq-len", type=int, default=128)
    parser.add_argument("--lengths", type=Path)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    return parser.parse_args()


def make_model(options):
    from transformers import BertConfig, BertForPreTraining, BertForSequenceClassification, BertModel

    layers, hidden = MODELS[options.model]
    config = BertConfig(
        num_hidden_layers=layers, hidden_size=hidden, num_attention_heads=hidden // 64, intermediate_size=4 * hidden
    )
    config._attn_implementation = options.attention or ("eager" if options.style == "common" else "sdpa")
    kind = {"pretrain": BertForPreTraining, "finetune": BertForSequenceClassification, "encode": BertModel}
    model = kind[options.work](config).to(options.device)
    return model.eval() if options.work == "encode" else model.train()


def make_batch(lengths, vocabulary):
    """Random sequences padded to the longest, and the positions and tokens to predict."""
    width = max(lengths)
    ids = torch.zeros(len(lengths), width, dtype=torch.int64)
    types, mask = torch.zeros_like(ids), torch.zeros_like(ids)
    labels = torch.full_like(ids, -100)
    for row, length in enumerate(lengths):
        ids[row, :length] = torch.randint(1000, vocabulary, (length,))
        types[row, length // 2 : length] = 1
        mask[row, :length] = 1
        positions = torch.randperm(length - 2)[: -(-length * 3 // 20)] + 1
        labels[row, positions] = ids[row, positions]
        ids[row, positions] = MASK
    # Without padding no mask is needed, which is the faster path.
    mask = None if min(lengths) == width else mask
    # Where the predicted tokens are: found here, since a GPU would have to be waited for.
    rows = (labels.view(-1) != -100).nonzero().squeeze(1)
    return ids, types, mask, labels, torch.arange(len(lengths)) % 2, rows


def to_device(batch, device):
    """Copies from pinned memory overlap with what the GPU computes, as a loader's do."""
    if device == "cpu":
        return batch
    return [part if part is None else part.pin_memory().to(device, non_blocking=True) for part in batch]


def best_loss(model, batch):
    """Logits of the predicted positions only."""
    ids, types, mask, labels, next_sentence, rows = batch
    output = model.bert(input_ids=ids, token_type_ids=types, attention_mask=mask)
    chosen = output.last_hidden_state.flatten(0, 1).index_select(0, rows)
    logits, kinds = model.cls(chosen, output.pooler_output)
    cross_entropy = torch.nn.functional.cross_entropy
    return cross_entropy(logits, labels.view(-1)[rows]) + cross_entropy(kinds, next_sentence)


def common_loss(model, batch):
    ids, types, mask, labels, next_sentence, _ = batch
    return model(
        input_ids=ids, token_type_ids=types, attention_mask=mask, labels=labels, next_sentence_label=next_sentence
    ).loss


def classifier_loss(model, batch):
    ids, types, mask, _, classes, _ = batch
    return model(input_ids=ids, token_type_ids=types, attention_mask=mask, labels=classes).loss


def trainer(options, model):
    """A function that does one training step."""
    optimiser = torch.optim.AdamW(
        model.parameters(), lr=1e-4, eps=1e-6, weight_decay=0.01, fused=options.style == "best"
    )
    loss_of = classifier_loss if options.work == "finetune" else best_loss
    if options.style == "common" and options.work == "pretrain":
        loss_of = common_loss
    if options.compile:
        loss_of = torch.compile(loss_of)

    half = torch.autocast("cuda", dtype=torch.bfloat16) if options.dtype == "bf16" else contextlib.nullcontext()

    def step(batch):
        with half:
            loss = loss_of(model, batch)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)

    return step


def encoder(options, model):
    half = torch.autocast("cuda", dtype=torch.bfloat16) if options.dtype == "bf16" else contextlib.nullcontext()

    def step(batch):
        ids, types, mask, *_ = batch
        with torch.inference_mode(), half:
            model(input_ids=ids, token_type_ids=types, attention_mask=mask)

    return step


def onnx_encoder(options, model):
    import onnxruntime

    class Hidden(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.bert = model

        def forward(self, ids, types, mask):
            return self.bert(input_ids=ids, token_type_ids=types, attention_mask=mask).last_hidden_state

    example = torch.ones(2, 16, dtype=torch.int64)
    axes = {name: {0: "batch", 1: "length"} for name in ["ids", "types", "mask", "hidden"]}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "encoder.onnx"
        torch.onnx.export(
            Hidden(), (example, example * 0, example), path, input_names=["ids", "types", "mask"],
            output_names=["hidden"], dynamic_axes=axes, opset_version=17, dynamo=False,
        )
        settings = onnxruntime.SessionOptions()
        settings.intra_op_num_threads = options.threads
        session = onnxruntime.InferenceSession(path, settings, providers=["CPUExecutionProvider"])

    def step(batch):
        ids, types, mask, *_ = batch
        mask = torch.ones_like(ids) if mask is None else mask
        session.run(None, {"ids": ids.numpy(), "types": types.numpy(), "mask": mask.numpy()})

    return step


def main():
    options = arguments()
    if options.device == "cpu" and options.dtype != "f32":
        raise SystemExit("--dtype tf32 and bf16 are for --device cuda")
    if options.dtype == "tf32":
        torch.set_float32_matmul_precision("high")
    wait = torch.cuda.synchronize if options.device == "cuda" else lambda: None
    torch.manual_seed(0)
    torch.set_num_threads(options.threads)
    model = make_model(options)
    vocabulary = model.config.vocab_size
    lengths = [options.seq_len]
    if options.lengths:
        lengths = [int(line) for line in options.lengths.read_text().split()]
    take = lambda step: [lengths[(step * options.batch + i) % len(lengths)] for i in range(options.batch)]
    batches = [take(step) for step in range(WARM_UP + options.steps)]
    if options.style == "onnx":
        step = onnx_encoder(options, model)
    else:
        step = encoder(options, model) if options.work == "encode" else trainer(options, model)
    times = []
    for number, wanted in enumerate(batches):
        batch = make_batch(wanted, vocabulary)
        wait()
        start = time.perf_counter()
        step(to_device(batch, options.device))
        wait()
        if number >= WARM_UP:
            times.append(time.perf_counter() - start)
    tokens = sum(map(sum, batches[WARM_UP:]))
    median = statistics.median(times)
    elapsed = sum(times) if options.lengths else median * len(times)
    print(json.dumps({
        "model": options.model,
        "work": options.work,
        "style": options.style + ("+compile" if options.compile else ""),
        "batch": options.batch,
        "seq_len": None if options.lengths else options.seq_len,
        "threads": options.threads,
        "device": torch.cuda.get_device_name() if options.device == "cuda" else "cpu",
        "precision": options.dtype,
        "attention": model.config._attn_implementation,
        "step_ms": round(1e3 * median, 2),
        "fastest_ms": round(1e3 * min(times), 2),
        "tokens_per_second": round(tokens / elapsed, 1),
        "peak_memory_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        "device_memory_mib": round(torch.cuda.max_memory_allocated() / 2**20) if options.device == "cuda" else None,
        "torch": torch.__version__,
    }))


if __name__ == "__main__":
    main()
