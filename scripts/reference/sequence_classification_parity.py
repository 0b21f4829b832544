"""Golden values for fine-tuning: logits, loss and every gradient of classification and of regression.

Run in a scratch environment (see requirements.txt beside this file):

    python scripts/reference/sequence_classification_parity.py

Writes crates/bert-model/tests/golden/{classification,regression}.safetensors and sequence_classification.config.json.
The model is Hugging Face's `BertForSequenceClassification` with random weights, dropout off, in float32.

Tensors (B = 5 sequences, S = 12 positions padded, L = 3 labels or 1):

    NAME                     a weight, under its Hugging Face name
    input.input_ids, input.token_type_ids, input.attention_mask   [B, S] int64
    input.labels             [B]  int64 classes (cross-entropy), or float32 scores (mean squared error)
    output.logits            [B, L]
    output.loss              scalar, mean over B
    output.loss_f64          the same computed in float64
    grad.NAME                the gradient of output.loss
"""

import torch

import common

LENGTHS = [12, 8, 10, 5, 7]
SECONDS = [6, 8, 4, 3, 7]  # the second and the last have one segment only
WIDTH = 12
CLASSES = [2, 0, 1, 1, 0]
SCORES = [4.2, 0.0, 2.5, 5.0, 1.25]


def make(file_name, labels, targets):
    from transformers import BertForSequenceClassification

    config = common.small_config(
        vocab_size=60, num_labels=labels, problem_type="regression" if labels == 1 else "single_label_classification"
    )
    model = BertForSequenceClassification(config)
    common.randomise(model, seed=21)
    ids, types, mask = common.batch(config, LENGTHS, SECONDS, WIDTH, seed=22)

    def run(net, wanted):
        return net(input_ids=ids, attention_mask=mask, token_type_ids=types, labels=wanted)

    result = run(model, targets)
    result.loss.backward()
    gradients = common.named_gradients(model)

    double = common.in_double(model)
    double.zero_grad()
    exact = run(double, targets.double() if targets.is_floating_point() else targets)
    exact.loss.backward()
    off, where = common.relative_difference(gradients, common.named_gradients(double))

    tensors = common.named_weights(model)
    assert sorted("grad." + name for name in tensors) == sorted(gradients), "weights and gradients differ in names"
    tensors |= {
        "input.input_ids": ids,
        "input.token_type_ids": types,
        "input.attention_mask": mask,
        "input.labels": targets,
        "output.logits": result.logits,
        "output.loss": result.loss,
        "output.loss_f64": exact.loss,
    }
    tensors |= gradients
    metadata = {
        "made_by": "scripts/reference/sequence_classification_parity.py",
        "labels": labels,
        "largest_relative_gradient_difference_f32_f64": f"{off:.2e} ({where})",
    }
    common.save(common.MODEL_GOLDEN / file_name, tensors, metadata)
    return config


def main():
    common.make_deterministic(seed=2)
    make("classification.safetensors", 3, torch.tensor(CLASSES))
    config = make("regression.safetensors", 1, torch.tensor(SCORES))
    common.save_config(common.MODEL_GOLDEN / "sequence_classification.config.json", config)


if __name__ == "__main__":
    main()
