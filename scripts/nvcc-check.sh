#!/usr/bin/env bash
# Stands in for nvcc where there is no CUDA toolkit, so that `cargo check` and `cargo clippy` see the code behind the
# feature `cuda`. It compiles nothing: PTX files are empty modules, objects and libraries empty archives.
#   NVCC=$PWD/scripts/nvcc-check.sh CUDARC_CUDA_VERSION=13000 CUDA_COMPUTE_CAP=80 cargo clippy -p bert-train --features cuda
set -euo pipefail

output= folder=. ptx= sources=()
while [ $# -gt 0 ]; do
    case $1 in
    --version) echo "Cuda compilation tools, release 13.0, V13.0.88" && exit ;;
    -o | --output-file) output=$2 && shift ;;
    --output-directory) folder=$2 && shift ;;
    -ptx | --ptx) ptx=1 ;;
    *.cu) sources+=("$1") ;;
    esac
    shift
done

if [ -z "$ptx" ]; then
    printf '!<arch>\n' >"$output"
    exit
fi
for source in "${sources[@]}"; do
    printf '.version 8.0\n.target sm_80\n.address_size 64\n' >"${output:-$folder/$(basename "$source" .cu).ptx}"
done
