# The commands of everyday work. `just` alone lists them.

default:
    @just --list

# Everything that CI checks.
check:
    .ci/run

# All tests.
test:
    cargo test --workspace

# Vocabulary, examples, two phases of pre-training and a filled mask, on the embedded sample.
quickstart:
    cargo run --release --bin bert-train -- pretrain --config quickstart

# Speed of the pre-training step.
bench model="base" seq="128" batch="8":
    cargo run --release --bin bert-train -- bench --model {{model}} --seq-len {{seq}} --batch {{batch}}

# The embedded sample and its floor, byte for byte.
sample:
    cargo run --release -p bert-data --example sample_corpus -- data
