#!/usr/bin/env bash
# Train the picture codec that ships further on one GPU, from its weights to a finished model, in one command:
#
#   bash benchmarks/gpu_pictures.sh [OUT]
#
# Steps: the base (its decoder, on the codes of the search) for BASE_MINUTES, in pieces of at most PIECE minutes that
# checkpoint and resume, and entropy tables for it; the detail layer, in pieces of at most PIECE minutes; scores of both
# models. Run it again after an interruption: what is done is not done again. OUT/jovio-16-v8 is the finished model.
#
# Environment, with what it defaults to:
#   DATA=../shared/data/vision/train_images  to learn from     VALID=../shared/data/vision/valid/images  to judge on
#   DEVICE=cuda  BATCH=64 (crops of 256)  BASE_MINUTES=0 (for none)  PIECE=8  ENTROPY_MINUTES=10
#   MINUTES=8  PIECES=2 (of the detail layer's network, each MINUTES)  FILTER_MINUTES=8  CROPS=6000 (0.12 s each)
# PARTS=1 also packs the weights into OUT/parts, xz in parts of at most 16 MB.
set -euo pipefail
cd "$(dirname "$0")/.."
out=$(realpath -m "${1:-gpu_pictures}")
data=${DATA:-../shared/data/vision/train_images} valid=${VALID:-../shared/data/vision/valid/images}
device=${DEVICE:-cuda} piece=${PIECE:-8} crops=${CROPS:-6000}
command -v josiecodec >/dev/null || pip install -e ".[train,eval]"
mkdir -p "$out"
done_once() {  # NAME COMMAND...: run a step unless it is done
  [ -f "$out/$1.done" ] && return
  echo "+ ${*:2}"
  "${@:2}"
  touch "$out/$1.done"
}
fresh() {  # FOLDER COMMAND...: run a step into a folder that an interruption may have left
  rm -rf "$1"
  "${@:2}"
}
base() {
  local from=(--from jovio-16) begun
  until [ -f "$out/base.done" ]; do
    [ -f "$out/run/checkpoint.safetensors" ] && from=(--resume)
    begun=$(date +%s)
    josiecodec train vision jovio_16_on "${from[@]}" --data "$data" --valid "$valid" --out "$out/run" \
      --minutes "$BASE_MINUTES" --stop-after "$piece" --device "$device" --set "batch=${BATCH:-64}"
    # a piece that ended before its time ended because the run is complete
    [ $(($(date +%s) - begun)) -lt "$(awk "BEGIN {print int(60 * $piece)}")" ] && touch "$out/base.done"
  done
  done_once entropy josiecodec train entropy "$out/run/model" --data "$data" --from jovio-16 \
    --minutes "${ENTROPY_MINUTES:-10}"
}
model=jovio-16-v7
if [ "${BASE_MINUTES:-0}" != 0 ]; then
  base
  model=$out/run/model
fi
for number in $(seq "${PIECES:-2}"); do
  done_once "detail$number" fresh "$out/detail$number" josiecodec train detail "$model" "$out/detail$number" \
    --data "$data" --device "$device" --minutes "${MINUTES:-8}" --crops "$crops" --name jovio-16-v8
  model=$out/detail$number
done
done_once filter fresh "$out/jovio-16-v8" josiecodec train detail "$model" "$out/jovio-16-v8" --data "$data" \
  --device "$device" --minutes 0 --filter-minutes "${FILTER_MINUTES:-8}" --crops "$crops" --name jovio-16-v8
if [ -n "${PARTS:-}" ]; then
  mkdir -p "$out/parts"
  tar -C "$out" -c jovio-16-v8 | xz -T0 | split -b 16000000 - "$out/parts/jovio-16-v8.tar.xz."
fi
for judged in jovio-16-v7 "$out/jovio-16-v8"; do
  josiecodec eval vision "$valid" --model "$judged" --bpp 0.1,0.2,0.4,0.8 --json | tee -a "$out/scores.jsonl"
done
