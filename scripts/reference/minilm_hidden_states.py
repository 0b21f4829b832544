"""Golden hidden states of a real encoder: all-MiniLM-L6-v2 (6 layers, hidden 384, vocabulary 30,522).

Run in a scratch environment (see requirements.txt beside this file), with the weights in
$BERT_SHARED_DATA/weights/all-MiniLM-L6-v2 (default ../shared/data):

    python scripts/reference/minilm_hidden_states.py

Writes crates/bert-model/tests/golden/minilm.safetensors. The weights themselves (Apache-2.0) are not committed.

Tensors (B = 3 sentences of different lengths in one padded batch, S = the longest):

    input.input_ids, input.attention_mask   [B, S] int64 (all token types are 0)
    output.last_hidden_state                [B, S, 384] float32, zero where padded
    output.mean_pooled                      [B, 384] the mean over each sentence's tokens

The sentences are in the metadata (`made`, a JSON object, key `sentences`).
"""

import torch

import common

SENTENCES = [
    "The ferry left the harbour before dawn.",
    "Bread!",
    "Nobody in the unlit workshop had noticed how quietly the rain stopped.",
]


def main():
    from transformers import AutoModel, AutoTokenizer

    common.make_deterministic(seed=3)
    folder = common.shared_data() / "weights" / "all-MiniLM-L6-v2"
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModel.from_pretrained(folder, attn_implementation="eager").float().eval()
    encoded = tokenizer(SENTENCES, padding=True, return_tensors="pt")
    assert not encoded["token_type_ids"].any()
    with torch.no_grad():
        hidden = model(**encoded).last_hidden_state
        exact = model.double()(**encoded).last_hidden_state
    mask = encoded["attention_mask"]
    kept = hidden * mask.unsqueeze(-1)
    off, _ = common.relative_difference({"": kept}, {"": exact * mask.unsqueeze(-1)})
    common.save(
        common.MODEL_GOLDEN / "minilm.safetensors",
        {
            "input.input_ids": encoded["input_ids"],
            "input.attention_mask": mask,
            "output.last_hidden_state": kept,
            "output.mean_pooled": kept.sum(1) / mask.sum(1, keepdim=True),
        },
        {
            "made_by": "scripts/reference/minilm_hidden_states.py",
            "sentences": SENTENCES,
            "relative_difference_f32_f64": f"{off:.2e}",
        },
    )


if __name__ == "__main__":
    main()
