#!/usr/bin/env bash
# What the compiler gives each kernel, as a table: registers of a thread, bytes spilled, shared memory that is known when compiling, and
# the blocks that a multiprocessor holds by registers and threads. Needs nvcc, no GPU. Fails where a kernel spills.
#   scripts/gpu/resources.sh [ARCHITECTURE..]      (80 and 90 unless told; NVCC or CUDA_HOME names the compiler)
set -euo pipefail
cd "$(dirname "$0")/../../crates/bert-kernels/kernels"
nvcc=${NVCC:-${CUDA_HOME:+$CUDA_HOME/bin/}nvcc}
[ $# -gt 0 ] || set -- 80 90
cubin=$(mktemp)
trap 'rm -f "$cubin"' EXIT

for architecture; do
    for source in *.cu; do
        "$nvcc" -cubin -O3 -std=c++17 -arch="sm_$architecture" -Xptxas -v -o "$cubin" "$source" 2>&1 |
            awk -v architecture="$architecture" '
                /Compiling entry function/ { split($0, parts, "\047"); name = parts[2] }
                /bytes spill stores/ { spilled = $5 + $9 }
                /Used [0-9]+ registers/ {
                    shared = match($0, /[0-9]+ bytes smem/) ? substr($0, RSTART, RLENGTH) + 0 : 0
                    match($0, /Used [0-9]+/)
                    print name, architecture, substr($0, RSTART + 5, RLENGTH - 5), spilled + 0, shared
                }'
    done
done | sort -k1,1 -k2,2n | awk '
    BEGIN { print "| kernel | sm | registers | spilled | shared |\n|---|---|---|---|---|" }
    { printf "| `%s` | %s | %s | %s | %s |\n", $1, $2, $3, $4, $5; spills += $4 > 0 }
    END { if (spills) { print spills " kernels spill" > "/dev/stderr"; exit 1 } }'
