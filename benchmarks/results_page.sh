#!/usr/bin/env bash
# Measure what docs/results.md shows, and write that page, the tables of the README and docs/quality.svg. Not part of CI.
#
#     benchmarks/results_page.sh DATA [WORK [WHISPER]]
#
# DATA/audio/valid holds recordings with a manifest.tsv, DATA/vision/valid/images pictures (names of screenshots and
# drawings begin with g), DATA/vision/valid/clips videos. WORK (results_work) keeps rows and decoded files: a run that was
# stopped goes on. WHISPER is a model of faster-whisper, a name or a folder, for words; without it there are none. Takes
# some 90 minutes of one processor core; needs `pip install ".[eval,jxl]"`. The page alone, from files of results that
# are there: `python benchmarks/report.py && python benchmarks/chart.py`.
set -euo pipefail
here=$(cd "$(dirname "$0")/.." && pwd)
data=${1:?the folder with audio/valid and vision/valid}
work=${2:-results_work}
whisper=${3:-}
sizes=0.1bpp+0.2bpp+0.4bpp+0.8bpp
josiecodec() { python -m josiecodec_cli.main "$@"; }

josiecodec eval audio "$data/audio/valid" --n-q 1,2,5,9 --kbps 1.6,2,2.4,3.3,4.4,6.6,8.8 \
  --codecs opus@6+9+12+16,codec2@700C+1200+2400+3200,mp3@8+16+24 ${whisper:+--whisper "$whisper"} --out "$work/audio"
# Formats that cannot make all pictures so small are no failure.
josiecodec eval vision "$data/vision/valid/images" --bpp 0.05,0.1,0.2,0.4,0.8 \
  --codecs "avif@$sizes,avif-psnr@$sizes,avif-ssim@$sizes,webp@$sizes,jpeg@$sizes,jxl@$sizes,jpeg2000@0.05bpp+$sizes" \
  --out "$work/pictures"
python "$here/benchmarks/video.py" "$data"/vision/valid/clips/* \
  --out "$here/benchmarks/results/video.json" --table "$here/benchmarks/results/video.md"
python "$here/benchmarks/report.py" --audio "$work/audio" --pictures "$work/pictures"
python "$here/benchmarks/chart.py"
