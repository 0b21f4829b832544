#!/usr/bin/env bash
# Puts all that verify.sh needs into one folder, to be copied to a machine with a GPU that has no Rust: the release binary and the
# tests with the feature `cuda`, the scripts, lengths of real batches. Needs a CUDA toolkit (CUDA_HOME; scripts/cuda-toolkit.sh makes one).
#
#   scripts/gpu/build.sh FOLDER
set -euo pipefail
[ $# = 1 ] || { sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' "$0" >&2; exit 2; }
project=$(cd "$(dirname "$0")/../.." && pwd)
: "${CUDA_HOME:?names no CUDA toolkit; scripts/cuda-toolkit.sh FOLDER makes one}"
export CUDA_PATH=${CUDA_PATH:-$CUDA_HOME} CUDA_COMPUTE_CAP=${CUDA_COMPUTE_CAP:-80}
export PATH=$CUDA_HOME/bin:$PATH LIBRARY_PATH=$CUDA_HOME/lib64:$CUDA_HOME/lib/stubs${LIBRARY_PATH:+:$LIBRARY_PATH}
mkdir -p "$1"
folder=$(cd "$1" && pwd)
rm -rf "${folder:?}"/{bin,bench,lengths}
mkdir -p "$folder"/{bin,bench,lengths}
cd "$project"

# Builds a target and takes what came of it, whose path is in cargo's messages.
take() { # its name for cargo, its name in the folder, arguments of cargo..
    local target=$1 file=$folder/bin/$2 built
    shift 2
    built=$(cargo "$@" --release --locked --message-format=json-render-diagnostics |
        sed -n "s/.*\"name\":\"$target\".*\"executable\":\"\([^\"]*\)\".*/\1/p" | tail -1)
    [ -n "$built" ] || { echo "build.sh: cargo did not say where $target is" >&2; exit 1; }
    cp "$built" "$file"
    strip "$file"
}
take bert-train bert-train build -p bert-train --bin bert-train --features bert-train/cuda
# Both tests in the same call of cargo, which is then told to say it again: other features would compile candle's kernels anew.
tests=(test --no-run -p bert-train -p bert-kernels --lib --test gpu --features bert-train/cuda)
take bert_kernels test-kernels "${tests[@]}"
take gpu test-training "${tests[@]}"

cp scripts/gpu/verify.sh "$folder/"
cp scripts/bench/pytorch_step.py scripts/bench/compare.py "$folder/bench/"
cp scripts/gpu/lengths/*.lengths "$folder/lengths/"
git rev-parse HEAD >"$folder/commit" 2>/dev/null || echo unknown >"$folder/commit"
du -sh "$folder"
echo "on the machine with the GPU: FOLDER/verify.sh"
