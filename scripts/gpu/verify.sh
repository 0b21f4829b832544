#!/usr/bin/env bash
# Shows what this build does on a GPU: all tests that need one, the speed of training steps, PyTorch's beside it where python3 has torch
# and transformers, a short training that is killed and resumed. At most 8 minutes; a part that fails or takes too long does not stop the
# others. Runs in the folder that build.sh made, without Rust and without a network, and writes one report in Markdown.
#
#   ./verify.sh [--report FILE] [--rehearse]
#   ./verify.sh --train MINUTES --corpus FOLDER --glue FOLDER [--report FILE]
#
# --train   pre-trains a BERT-Small on the text in FOLDER for so many minutes and fine-tunes it on SST-2 and MRPC, instead of all else;
#           building the vocabulary and the examples comes before and is not counted
# --rehearse  runs every part on the CPU in small sizes, to try the script itself; its numbers mean nothing
#
# Exit code 0: every part passed; 1: no GPU, or something failed; 2: a wrong request.
set -uo pipefail

folder=$(cd "$(dirname "$0")" && pwd)
report=$PWD/gpu-report.md rehearse='' minutes='' corpus='' glue=''
usage() { sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' "$0" >&2; exit 2; }
while [ $# -gt 0 ]; do
    case $1 in
    --rehearse) rehearse=1 && shift && continue ;;
    --report | --train | --corpus | --glue) [ $# -ge 2 ] || usage ;;
    *) usage ;;
    esac
    case $1 in
    --report) report=$2 ;;
    --train) minutes=${2%m} ;;
    --corpus) corpus=$2 ;;
    --glue) glue=$2 ;;
    esac
    shift 2
done
if [ -n "$minutes" ] && { [ ! -d "$corpus" ] || [ ! -d "$glue" ]; }; then
    echo "verify.sh: --train needs --corpus and --glue, two folders" >&2
    exit 2
fi

# CUDA's libraries: of the system, of a toolkit, of a container, of PyTorch's wheels.
site=$(python3 -c 'import sysconfig; print(sysconfig.get_paths()["purelib"])' 2>/dev/null)
for place in /usr/local/cuda*/lib64 /usr/local/cuda*/targets/*/lib /usr/local/nvidia/lib64 /usr/lib/wsl/lib \
    "$site"/nvidia/cu13/lib "$site"/nvidia/*/lib "${CONDA_PREFIX:-/none}/lib"; do
    [ -d "$place" ] && LD_LIBRARY_PATH=${LD_LIBRARY_PATH:+$LD_LIBRARY_PATH:}$place
done
export LD_LIBRARY_PATH
bert=$folder/bin/bert-train
missing=$(ldd "$bert" | awk '/not found/ { print $1 }' | sort -u | tr '\n' ' ')
if [ -n "$missing" ]; then
    echo "verify.sh: not found: ${missing}(LD_LIBRARY_PATH says where libraries are)" >&2
    exit 1
fi

device=cuda half=bf16
[ -n "$rehearse" ] && device=cpu half=f32
export BERT_TEST_DEVICE=$device
if ! problem=$("$bert" bench --device $device --model tiny --batch 2 --steps 1 2>&1); then
    echo "verify.sh: no GPU to verify on: ${problem##*error: }" >&2
    exit 1
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
start=$SECONDS limit=${VERIFY_SECONDS:-480} failures=0
[ -n "$minutes" ] && limit=$((minutes * 60 + 7200))
say() { printf '%s\n' "$@" >>"$report"; }
left() { echo $((limit - (SECONDS - start))); }

# Runs a command for at most so many seconds; its output goes to $work/output. Fails as the command does.
timed() { # seconds, command..
    local most=$1
    shift
    [ "$(left)" -lt "$most" ] && most=$(left)
    if [ "$most" -lt 5 ]; then
        echo "no time left" >"$work/output"
        return 124
    fi
    timeout --kill-after=5 "$most" "$@" >"$work/output" 2>&1
}

# One line of the report: whether a part passed; the end of its output where it did not.
part() { # name, seconds, command..
    local name=$1 begin=$SECONDS code=0
    shift
    echo "$name .." >&2
    timed "$@" || code=$?
    # A test that skips has shown nothing, and neither has a filter that finds none.
    if [ "$code" = 0 ] && [ -z "$rehearse" ] && grep -qE '^skipped|^running 0 tests' "$work/output"; then code=77; fi
    case $code in
    0) say "- **$name**: passed, $((SECONDS - begin)) s" ;;
    124 | 137) say "- **$name**: FAILED, not done in time ($((SECONDS - begin)) s)" ;;
    *) say "- **$name**: FAILED with code $code, $((SECONDS - begin)) s" ;;
    esac
    grep -hE '^(skipped|test result|f32:|bf16:)' "$work/output" | sed 's/^/  - /' >>"$report"
    if [ "$code" != 0 ]; then
        failures=$((failures + 1))
        { echo '  ```'; tail -40 "$work/output" | sed 's/^/  /'; echo '  ```'; } >>"$report"
    fi
    return "$code"
}

number() { # key: its value in the last line of JSON that a command printed, shortened
    grep '^{' "$work/output" | tail -1 | sed -n "s/.*\"$1\":\"\{0,1\}\([^,\"}]*\).*/\1/p"
}

# A row of the table of speeds, with the largest batch of a list that fits.
bench() { # model, length or file, precision, batches..
    local model=$1 length=$2 precision=$3 batch place=(--seq-len "$2")
    shift 3
    [ -f "$length" ] && place=(--lengths "$length")
    for batch in "$@"; do
        echo "bench $model $batch x $(basename "$length") $precision .." >&2
        if timed 40 "$bert" bench --device $device --precision "$precision" --model "$model" "${place[@]}" --batch "$batch" \
            --steps 10 --json; then
            say "$(awk -v what="$model, $batch x $(basename "$length"), $precision" -v ms="$(number step_ms)" \
                -v rate="$(number tokens_per_second)" -v flops="$(number model_flops)" -v share="$(number share_of_peak)" \
                -v memory="$(number device_memory_mib)" 'BEGIN {
                    printf "| %s | %.2f | %.0f | %.1f | ", what, ms, rate, flops * 1e-12
                    if (share + 0 > 0) printf "%.1f%% | ", 100 * share; else printf "unknown | "
                    if (memory + 0 > 0) printf "%.0f |", memory; else printf "|" }')"
            grep -E '^  [a-z]+ +[0-9.]+ ms' "$work/output" | sed "s/^/$model, $batch x $(basename "$length"), $precision:/" >>"$work/parts"
            return
        fi
    done
    failures=$((failures + 1))
    say "| $model, $(basename "$length"), $precision | FAILED: $(tail -1 "$work/output" | tr '|' '/') | | | | |"
}

# A run that is killed without warning at a checkpoint and goes on must end with the bytes of one that was not.
killed_and_resumed() {
    local run steps=(--set phase.0.steps=300 --set phase.1.steps=40 --set checkpoint.every=20 --set evaluation.every=0)
    [ -n "$rehearse" ] && steps=(--set phase.0.steps=8 --set phase.1.steps=4 --set checkpoint.every=2 --set evaluation.every=0
        --set schedule.warmup_steps=2 --set phase.1.schedule.warmup_steps=1)
    run=("$bert" pretrain --device "$device" --config quickstart --set "precision=$half" "${steps[@]}")
    "${run[@]}" --output "$work/whole" || return
    "${run[@]}" --output "$work/killed" &
    local pid=$! tries=0
    until compgen -G "$work/killed/checkpoints/step-*" >/dev/null; do
        sleep 0.01
        tries=$((tries + 1))
        [ $tries -gt 6000 ] && kill -KILL $pid && echo "no checkpoint came" && return 1
    done
    kill -KILL $pid 2>/dev/null
    wait $pid && echo "the run ended before it could be killed" && return 1
    "${run[@]}" --output "$work/killed" || return
    cmp "$work/whole/model/model.safetensors" "$work/killed/model/model.safetensors"
}

short_training() {
    local steps=()
    [ -n "$rehearse" ] && steps=(--set phase.0.steps=8 --set phase.1.steps=4 --set schedule.warmup_steps=2 --set phase.1.schedule.warmup_steps=1)
    "$bert" pretrain --device $device --config quickstart --set "precision=$half" "${steps[@]}" --output "$work/short"
}
# A function as a script, for `timeout` starts programs only.
script_of() { # function
    declare -p bert work device half rehearse
    declare -f "$1"
    echo "$1"
}

{
    echo "# On a GPU"
    echo
    date -u '+%Y-%m-%d %H:%M UTC'
    echo "commit $(cat "$folder/commit" 2>/dev/null)"
    [ -n "$rehearse" ] && echo "**A rehearsal on the CPU: the numbers mean nothing.**"
    echo '```'
    nvidia-smi --query-gpu=name,driver_version,memory.total,clocks.max.sm,power.limit --format=csv 2>&1 | head -5
    lscpu 2>/dev/null | grep -E 'Model name|^CPU\(s\)'
    echo '```'
} >"$report"

train() {
    local rate steps batch=128 length=128 warmup
    timed 120 "$bert" bench --device $device --precision $half --model small --batch $batch --seq-len $length --json --steps 20 || {
        cat "$work/output" >&2
        exit 1
    }
    rate=$(number tokens_per_second)
    # A tenth less than the bench would do: examples are not all full, but checkpoints and measurements take time too.
    steps=$(awk -v rate="$rate" -v s=$((minutes * 60)) -v n=$((batch * length)) 'BEGIN { printf "%d", 0.9 * s * rate / n }')
    warmup=$((steps / 20))
    say "$steps steps of $batch x $length for $minutes minutes, at $rate tokens/s in the benchmark." ""
    part "pre-training of BERT-Small" $((minutes * 60 + 5400)) "$bert" pretrain --device $device --config small --output "$work/small" \
        --set "precision=$half" --set "data.input=[\"$corpus\"]" --set "data.format=auto" --set "schedule.warmup_steps=$warmup" \
        --set "phase=[{ seq_len = $length, steps = $steps, batch = $batch, max_predictions = 20, micro_batch = \"auto\" }]" \
        --set "optimizer.lr=5e-4" || return
    tail -14 "$work/output" | sed 's/^/    /' >>"$report"
    local task
    for task in sst-2 mrpc; do
        part "fine-tuning on $task" 900 "$bert" finetune --device $device --set "precision=$half" --task $task --model "$work/small" \
            --data "$glue" --set optimizer.lr=1e-4 --output "$work/$task"
        grep ' dev, ' "$work/output" | sed 's/^/    /' >>"$report"
    done
}

if [ -n "$minutes" ]; then
    say "" "## A BERT-Small in $minutes minutes" ""
    train
else
    say "" "## Tests" ""
    if [ -n "$rehearse" ]; then
        part "operations, emulated" 120 "$folder/bin/test-kernels" masks_are_those_of_the_cpu
        part "training beside the CPU" 100 "$folder/bin/test-training" --nocapture --skip two_hundred
    else
        part "operations beside f64 on the CPU" 120 "$folder/bin/test-kernels" on_gpu --nocapture --test-threads 1
        part "training beside the CPU, curves of 200 steps in f32 and bf16" 100 "$folder/bin/test-training" --nocapture
    fi
    part "killed, resumed, the same bytes" 60 bash -c "$(script_of killed_and_resumed)"

    say "" "## Speed" "" "| step of pre-training | ms | real tokens/s | TFLOP/s by formula | of the dense peak | GPU memory, MiB |" "|---|---|---|---|---|---|"
    if [ -n "$rehearse" ]; then
        bench tiny 128 f32 8 4
        bench mini "$folder/lengths/mrpc.lengths" f32 4
    else
        bench base 128 bf16 256 128 64 32
        bench base 512 bf16 64 32 16 8
        bench large 128 bf16 128 64 32 16
        bench large 512 bf16 32 16 8 4
        bench base 128 tf32 128 64 32
        bench large 512 tf32 16 8 4 2
        bench base "$folder/lengths/mrpc.lengths" bf16 256 128 64
    fi
    if [ -s "$work/parts" ]; then
        say "" "Parts of a step, each waited for:" '```'
        cat "$work/parts" >>"$report"
        say '```'
    fi

    say "" "## Short training" ""
    part "quickstart" 60 bash -c "$(script_of short_training)" &&
        sed -n '/^held out/,/^next-sent/s/^/    /p' "$work/output" >>"$report"

    say "" "## Beside PyTorch" ""
    if python3 -c 'import torch, transformers' 2>/dev/null; then
        compare=(python3 "$folder/bench/compare.py" --binary "$bert" --device "$device" --precision "$half" --rounds 1 --steps 10)
        cases=("base,64,128" "large,16,512")
        [ -n "$rehearse" ] && cases=("tiny,4,128")
        for case in "${cases[@]}"; do
            for style in best compiled flash_attention_2; do
                if timed 90 "${compare[@]}" --styles $style --case "pretrain,$case"; then
                    sed -n '/^|/p' "$work/output" >>"$report"
                else
                    say "" "pretrain,$case $style: $(tail -1 "$work/output")"
                fi
                say ""
            done
        done
    else
        say "python3 has no torch and transformers here."
    fi
fi

say "" "$((SECONDS - start)) s in all, $failures failed."
echo "$report: $failures failed, $((SECONDS - start)) s" >&2
[ "$failures" = 0 ]
