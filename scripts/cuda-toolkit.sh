#!/usr/bin/env bash
# Puts a CUDA 13.0 toolkit for building into a folder: nvcc, its headers, and stand-ins for the libraries to link with.
# From pip's packages, without root, GPU or driver; 105 MB to load, 271 MB on disk. A machine with CUDA 12.4 or newer does
# not need it. Version 13.0 because drivers of the 580 series load no PTX of a newer compiler.
#
#   scripts/cuda-toolkit.sh FOLDER
#   export CUDA_HOME=FOLDER CUDA_PATH=FOLDER PATH=FOLDER/bin:$PATH CUDA_COMPUTE_CAP=80
#   export LIBRARY_PATH=FOLDER/lib/stubs
#   cargo build --release --features cuda --bin bert-train
#
# Needs python3 with pip, a C compiler, and `cargo fetch` to have run.
set -euo pipefail
[ $# = 1 ] || { sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' "$0" >&2; exit 2; }
project=$(cd "$(dirname "$0")/.." && pwd)
mkdir -p "$1"
folder=$(cd "$1" && pwd)

packages=(nvidia-cuda-nvcc==13.0.88 nvidia-nvvm==13.0.88 nvidia-cuda-crt==13.0.88
    nvidia-cuda-runtime==13.0.96 nvidia-cuda-cccl==13.0.85)
if [ ! -x "$folder/bin/nvcc" ]; then
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    python3 -m pip install --quiet --no-deps --only-binary=:all: --target "$work" "${packages[@]}"
    cp -a "$work/nvidia/cu13/." "$folder/"
    chmod +x "$folder"/bin/* "$folder"/nvvm/bin/*
    ln -sfn lib "$folder/lib64"
    ln -sfn libcudart.so.13 "$folder/lib/libcudart.so"
fi

# Libraries of the driver and of cuBLAS to link with: the names that cudarc declares, each returning that library's code for
# "no device". Where the real ones are installed the loader finds those instead.
cudarc=$(cd "$project" && cargo metadata --format-version 1 --locked --features bert-kernels/cuda |
    python3 -c 'import json, os, sys
print(next(os.path.dirname(p["manifest_path"]) for p in json.load(sys.stdin)["packages"] if p["name"] == "cudarc"))')
stubs=$folder/lib/stubs
mkdir -p "$stubs"
stand_in() { # library, its versioned name, code to return, modules of cudarc
    local library=$1 name=$2 code=$3 module
    shift 3
    for module in "$@"; do cat "$cudarc/src/$module/sys/mod.rs"; done |
        grep -oE '\bfn (cu|nvrtc)[A-Za-z0-9_]+\(' | sed -E 's/fn ([A-Za-z0-9_]+)\(/\1/' | sort -u |
        sed "s/.*/int &(void) { return $code; }/" >"$stubs/$library.c"
    cc -w -shared -fPIC -nostdlib "-Wl,-soname,$name" -o "$stubs/$name" "$stubs/$library.c"
    ln -sfn "$name" "$stubs/lib$library.so"
}
stand_in cuda libcuda.so.1 100 driver
stand_in nvrtc libnvrtc.so.13 11 nvrtc
stand_in curand libcurand.so.10 203 curand
stand_in cublas libcublas.so.13 1 cublas
stand_in cublasLt libcublasLt.so.13 1 cublaslt

"$folder/bin/nvcc" --version | tail -2
