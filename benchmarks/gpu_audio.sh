#!/usr/bin/env bash
# Train the audio codec that ships further on one GPU, from its weights to a finished model, in one command:
#
#   bash benchmarks/gpu_audio.sh [OUT]
#
# Steps: the base (levels 1 to 9) in pieces of at most PIECE minutes that checkpoint and resume; its acoustic codebooks
# placed anew; the layers after the base trained on for the new one; entropy tables and context model; scores of both
# models.
# Run it again after an interruption: what is done is not done again. OUT/jodio-24k-v4 is the finished model.
#
# Environment, with what it defaults to:
#   DATA=../shared/data/audio/train   recordings to learn from      VALID=../shared/data/audio/valid   to judge on
#   DEVICE=cuda  BATCH=384 (1.6 s each; 41 ms a step at 96 on an H100)  LR=6e-4  MINUTES=15  PIECE=8
#   LAYER_MINUTES=4  FILTER_MINUTES=6  ENVELOPE_MINUTES=3  ENTROPY_MINUTES=10  FRAMES=300000 (of the codebooks)  LIMIT=9000 (s, of the tables)
# PARTS=1 also packs the weights into OUT/parts, xz in parts of at most 16 MB.
set -euo pipefail
cd "$(dirname "$0")/.."
out=$(realpath -m "${1:-gpu_audio}")
data=${DATA:-../shared/data/audio/train} valid=${VALID:-../shared/data/audio/valid}
device=${DEVICE:-cuda} piece=${PIECE:-8} minutes=${MINUTES:-15}
command -v josiecodec >/dev/null || pip install -e ".[train,eval]"
mkdir -p "$out"
done_once() {  # NAME COMMAND...: run a step unless it is done
  [ -f "$out/$1.done" ] && return
  echo "+ ${*:2}"
  "${@:2}"
  touch "$out/$1.done"
}
base() {
  local resume=() begun
  until [ -f "$out/base.done" ]; do
    [ -f "$out/run/checkpoint.safetensors" ] && resume=(--resume)
    begun=$(date +%s)
    local from=(--from jodio-24k-v4)
    [ ${#resume[@]} -gt 0 ] && from=()
    josiecodec train audio jodio_24k_v4_on "${from[@]}" "${resume[@]}" --data "$data" --valid "$valid" --out "$out/run" \
      --minutes "$minutes" --stop-after "$piece" --device "$device" \
      --set "batch=${BATCH:-384}" --set "optimizer.lr=${LR:-6e-4}"
    # a piece that ended before its time ended because the run is complete
    [ $(($(date +%s) - begun)) -lt "$(awk "BEGIN {print int(60 * $piece)}")" ] && touch "$out/base.done"
  done
}
base
done_once codebooks josiecodec train codebooks "$out/run/model" "$out/placed" --data "$data" --max-frames "${FRAMES:-300000}"
done_once waveform josiecodec train waveform "$out/placed" "$out/jodio-24k-v4" --data "$data" --device "$device" \
  --minutes "${LAYER_MINUTES:-4}" --filter-minutes "${FILTER_MINUTES:-6}" --envelope-minutes "${ENVELOPE_MINUTES:-3}"
done_once entropy josiecodec train entropy "$out/jodio-24k-v4" --data "$data" --from jodio-24k-v4 \
  --minutes "${ENTROPY_MINUTES:-10}" --limit "${LIMIT:-9000}"
if [ -n "${PARTS:-}" ]; then
  mkdir -p "$out/parts"
  tar -C "$out" -c jodio-24k-v4 run/log.jsonl | xz -T0 | split -b 16000000 - "$out/parts/jodio-24k-v4.tar.xz."
fi
for model in jodio-24k-v4 "$out/jodio-24k-v4"; do
  josiecodec eval audio "$valid" --model "$model" --n-q 1,9,17,32,64 --kbps 1.6,2.4,4.4,6.6,8.8 --json | tee -a "$out/scores.jsonl"
done
