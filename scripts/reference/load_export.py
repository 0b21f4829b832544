"""Loads an exported model folder with Hugging Face Transformers and prints what it computes, as JSON.

A check by hand that our export is what the library expects. Run in a scratch environment (see requirements.txt beside
this file), after `bert-train export --checkpoint RUN/.. --output DIR` or on a fine-tuned model's folder:

    python scripts/reference/load_export.py DIR [--text TEXT] [--pair TEXT]

Fails (exit code 1) when a weight is missing, unexpected or of another shape, or when the tokenizer lacks a special token
or disagrees with vocab.txt. For a pre-trained model prints, for every [MASK] of the text, the likeliest tokens with
their probabilities (compare with `bert-train fill-mask --model DIR TEXT`) and the first logits, and the NSP logits;
for a fine-tuned one the logits (compare with `bert-train predict`). Everything in float32, dropout off.
"""

import argparse
import json
import sys
from pathlib import Path

import torch

import common

TEXT = "The baker put the loaf in the [MASK]."


def load(folder):
    """The model, by the head its weights have, and whether it is a pre-trained one."""
    from safetensors import safe_open
    from transformers import AutoModelForSequenceClassification, BertForPreTraining

    weights = folder / "model.safetensors"
    with safe_open(weights, "pt") as file:
        is_pretrained = not any(name.startswith("classifier.") for name in file.keys())
    kind = BertForPreTraining if is_pretrained else AutoModelForSequenceClassification
    model, report = kind.from_pretrained(
        folder, output_loading_info=True, attn_implementation="eager", dtype=torch.float32
    )
    problems = {
        key: sorted(map(str, report.get(key) or []))
        for key in ["missing_keys", "unexpected_keys", "mismatched_keys", "error_msgs"]
    }
    return model.eval(), is_pretrained, {key: names for key, names in problems.items() if names}


def tokenizer_problems(folder, tokenizer):
    """What is wrong with the tokenizer's files, as sentences."""
    vocab = (folder / "vocab.txt").read_text(encoding="utf-8").splitlines()
    wrong = [f"no {token}" for token in ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"] if token not in vocab]
    known = tokenizer.get_vocab()
    differing = [token for number, token in enumerate(vocab) if known.get(token) != number]
    if differing:
        wrong.append(f"{len(differing)} tokens of vocab.txt have another id in the tokenizer, e.g. {differing[:3]}")
    if len(tokenizer) != len(vocab):
        wrong.append(f"the tokenizer has {len(tokenizer)} tokens, vocab.txt {len(vocab)}")
    return wrong


def main():
    from transformers import AutoTokenizer

    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--text", default=TEXT)
    parser.add_argument("--pair", help="second sentence")
    options = parser.parse_args()
    common.make_deterministic(seed=0)
    tokenizer = AutoTokenizer.from_pretrained(options.folder)
    model, is_pretrained, problems = load(options.folder)
    wrong = tokenizer_problems(options.folder, tokenizer)
    if wrong:
        problems["tokenizer"] = wrong
    encoded = tokenizer(options.text, options.pair, return_tensors="pt")
    with torch.no_grad():
        output = model(**encoded)
    ids = encoded["input_ids"][0]
    answer = {
        "folder": str(options.folder),
        "model": type(model).__name__,
        "problems": problems,
        "tokens": tokenizer.convert_ids_to_tokens(ids.tolist()),
        "input_ids": ids.tolist(),
        "versions": common.versions(),
    }
    if is_pretrained:
        answer["nsp_logits"] = output.seq_relationship_logits[0].tolist()
        answer["masks"] = []
        for position in (ids == tokenizer.mask_token_id).nonzero().flatten().tolist():
            logits = output.prediction_logits[0, position]
            best = torch.topk(logits.softmax(-1), min(5, logits.numel()))
            answer["masks"].append({
                "position": position,
                "likeliest": [
                    {"token": tokenizer.convert_ids_to_tokens(token), "probability": probability}
                    for token, probability in zip(best.indices.tolist(), best.values.tolist())
                ],
                "first_logits": logits[:8].tolist(),
            })
    else:
        answer["labels"] = model.config.id2label
        answer["logits"] = output.logits[0].tolist()
    print(json.dumps(answer, indent=2))
    if problems:
        sys.exit(f"{options.folder}: {problems}")


if __name__ == "__main__":
    main()
