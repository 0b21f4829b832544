"""Golden values for pre-training: outputs, loss, every gradient, and three optimiser steps.

Run in a scratch environment (requirements.txt beside this file has the versions that made the committed files):

    python scripts/reference/pretraining_parity.py

Writes crates/bert-model/tests/golden/{pretraining,pretraining_gelu_new}.safetensors and a config.json for each.
The model is Hugging Face's `BertForPreTraining` with random weights; everything is computed in float32, and once
more in float64 to show how far float32 itself can be trusted (`loss_f64`, and the differences in the metadata).

Tensors (B = 5 sequences, S = 16 positions padded, M = masked positions, V = 120, H = 32):

    NAME                          a weight, under its Hugging Face name; the tied decoder is stored once, as
                                  bert.embeddings.word_embeddings.weight
    input.input_ids               [B, S] int64, 0 where padded
    input.token_type_ids          [B, S] int64
    input.attention_mask          [B, S] int64
    input.mlm_labels              [B, S] int64, -100 where nothing is predicted
    input.next_sentence_labels    [B]    int64, 1 = the second segment is random
    output.last_hidden_state      [B, S, H], zero where padded
    output.pooled                 [B, H]
    output.mlm_logits             [M, V], in the order of rows, then positions
    output.nsp_logits             [B, 2]
    output.mlm_loss, output.nsp_loss, output.loss   scalars: means over M, over B, and their sum
    output.loss_f64               the same loss computed in float64
    grad.NAME                     the gradient of output.loss (decoder and word embeddings together)

Only in pretraining.safetensors, three steps on the same batch from the weights above, lr 1e-3, betas .9 and .999,
eps 1e-6, decay .01 except on biases and LayerNorm, the gradient clipped to global norm 1 before each step:

    adamw.losses, adamw.grad_norms            [3] before each step; norms before clipping
    step3.NAME                                weights after three steps of torch.optim.AdamW (bias-corrected)
    original.losses, original.grad_norms      the same for the optimiser of google-research/bert
    original_step3.NAME                       (no bias correction; decay added to the update, then times lr)

`torch.nn.utils.clip_grad_norm_` scales by 1 / (norm + 1e-6), the original by 1 / max(norm, 1): 1e-7 apart here.
"""

import torch

import common

LENGTHS = [16, 11, 14, 7, 9]
SECONDS = [8, 5, 10, 3, 9]  # the last sequence has one segment only
MASKED = [(0, 3), (0, 9), (0, 14), (1, 2), (1, 6), (2, 1), (2, 8), (2, 12), (3, 5), (4, 4), (4, 7)]
NEXT_SENTENCE = [0, 1, 0, 1, 1]
WIDTH = 16
STEPS = 3
LR, BETA1, BETA2, EPS, DECAY, CLIP = 1e-3, 0.9, 0.999, 1e-6, 0.01, 1.0


def inputs(config):
    ids, types, mask = common.batch(config, LENGTHS, SECONDS, WIDTH, seed=11)
    labels = torch.full_like(ids, -100)
    generator = torch.Generator().manual_seed(12)
    for row, position in MASKED:
        labels[row, position] = torch.randint(5, config.vocab_size, (1,), generator=generator)
    return ids, types, mask, labels, torch.tensor(NEXT_SENTENCE)


def forward(model, data):
    """One pass: (loss, mlm loss, nsp loss, last hidden state, pooled, MLM logits at M, NSP logits)."""
    ids, types, mask, labels, next_sentence = data
    hidden = model.bert(input_ids=ids, attention_mask=mask, token_type_ids=types)
    mlm_logits, nsp_logits = model.cls(hidden.last_hidden_state, hidden.pooler_output)
    chosen = labels != -100
    mlm = torch.nn.functional.cross_entropy(mlm_logits[chosen], labels[chosen])
    nsp = torch.nn.functional.cross_entropy(nsp_logits, next_sentence)
    whole = model(
        input_ids=ids, attention_mask=mask, token_type_ids=types, labels=labels, next_sentence_label=next_sentence
    ).loss
    assert torch.allclose(whole, mlm + nsp, rtol=1e-6), "not the loss the library computes"
    return whole, mlm, nsp, hidden.last_hidden_state, hidden.pooler_output, mlm_logits[chosen], nsp_logits


def has_decay(name):
    return not (name.endswith(".bias") or "LayerNorm" in name)


def adamw_steps(model, data):
    """torch.optim.AdamW, clipped by torch's own function."""
    named = list(model.named_parameters())
    optimiser = torch.optim.AdamW(
        [
            {"params": [value for name, value in named if has_decay(name)], "weight_decay": DECAY},
            {"params": [value for name, value in named if not has_decay(name)], "weight_decay": 0.0},
        ],
        lr=LR, betas=(BETA1, BETA2), eps=EPS,
    )
    losses, norms = [], []
    for _ in range(STEPS):
        optimiser.zero_grad()
        loss = forward(model, data)[0]
        loss.backward()
        norms.append(torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP).item())
        losses.append(loss.item())
        optimiser.step()
    return losses, norms


def original_steps(model, data):
    """The optimiser of google-research/bert, written out."""
    named = list(model.named_parameters())
    first = {name: torch.zeros_like(value) for name, value in named}
    second = {name: torch.zeros_like(value) for name, value in named}
    losses, norms = [], []
    for _ in range(STEPS):
        model.zero_grad()
        loss = forward(model, data)[0]
        loss.backward()
        norm = torch.sqrt(sum((value.grad.double() ** 2).sum() for _, value in named)).item()
        scale = CLIP / max(norm, CLIP)
        losses.append(loss.item())
        norms.append(norm)
        with torch.no_grad():
            for name, value in named:
                gradient = value.grad * scale
                first[name] = BETA1 * first[name] + (1 - BETA1) * gradient
                second[name] = BETA2 * second[name] + (1 - BETA2) * gradient * gradient
                update = first[name] / (second[name].sqrt() + EPS)
                if has_decay(name):
                    update = update + DECAY * value
                value -= LR * update
    return losses, norms


def model_with(act):
    from transformers import BertForPreTraining

    config = common.small_config(hidden_act=act)
    model = BertForPreTraining(config)
    common.randomise(model, seed=7)
    return config, model


def make(act, file_name, config_name, optimisers):
    config, model = model_with(act)
    data = inputs(config)
    ids, types, mask, labels, next_sentence = data
    loss, mlm, nsp, hidden, pooled, mlm_logits, nsp_logits = forward(model, data)
    loss.backward()
    gradients = common.named_gradients(model)

    double = common.in_double(model)
    loss64 = forward(double, data)[0]
    double.zero_grad()
    loss64.backward()
    off, where = common.relative_difference(gradients, common.named_gradients(double))

    tensors = common.named_weights(model)
    assert sorted("grad." + name for name in tensors) == sorted(gradients), "weights and gradients differ in names"
    tensors |= {
        "input.input_ids": ids,
        "input.token_type_ids": types,
        "input.attention_mask": mask,
        "input.mlm_labels": labels,
        "input.next_sentence_labels": next_sentence,
        "output.last_hidden_state": hidden * mask.unsqueeze(-1),
        "output.pooled": pooled,
        "output.mlm_logits": mlm_logits,
        "output.nsp_logits": nsp_logits,
        "output.mlm_loss": mlm,
        "output.nsp_loss": nsp,
        "output.loss": loss,
        "output.loss_f64": loss64,
    }
    tensors |= gradients
    metadata = {
        "made_by": "scripts/reference/pretraining_parity.py",
        "hidden_act": act,
        "largest_relative_gradient_difference_f32_f64": f"{off:.2e} ({where})",
    }
    if optimisers:
        for prefix, after, run in [
            ("adamw", "step3", adamw_steps),
            ("original", "original_step3", original_steps),
        ]:
            _, fresh = model_with(act)
            losses, norms = run(fresh, data)
            stepped = common.named_weights(fresh)
            double = model_with(act)[1].double()
            run(double, data)
            apart, where = common.relative_difference(stepped, dict(double.named_parameters()))
            metadata[f"{after}_largest_relative_difference_f32_f64"] = f"{apart:.2e} ({where})"
            tensors[f"{prefix}.losses"] = torch.tensor(losses)
            tensors[f"{prefix}.grad_norms"] = torch.tensor(norms)
            tensors |= {f"{after}.{name}": value for name, value in stepped.items()}
            print(f"{prefix}: losses {losses} norms {norms}")
    common.save(common.MODEL_GOLDEN / file_name, tensors, metadata)
    common.save_config(common.MODEL_GOLDEN / config_name, config)


def main():
    common.make_deterministic(seed=1)
    make("gelu", "pretraining.safetensors", "pretraining.config.json", optimisers=True)
    make("gelu_new", "pretraining_gelu_new.safetensors", "pretraining_gelu_new.config.json", optimisers=False)


if __name__ == "__main__":
    main()
