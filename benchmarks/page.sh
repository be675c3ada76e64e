#!/usr/bin/env bash
# Pages to publish: recordings and pictures to listen to and look at, each beside other codecs. Not part of CI.
#
#     benchmarks/page.sh OUT [RECORDINGS [PICTURES [CLIPS]]]
#
# OUT/audio/index.html, with PICTURES OUT/vision/index.html, and with CLIPS OUT/video/index.html are written: folders
# that need nothing else and can be put on any web server. Without RECORDINGS it is the sample of the package. Needs
# `pip install ".[eval]"`. Rows are kept in OUT/rows: a run that was stopped goes on, a second one only writes pages.
set -euo pipefail
here=$(cd "$(dirname "$0")/.." && pwd)
out=${1:?the folder to write}
recordings=${2:-$here/josiecodec/samples}
josiecodec() { python -m josiecodec_cli.main "$@"; }

josiecodec eval audio "$recordings" --n-q 9 --kbps 1.6,2.4,4.4 --codecs opus@6+9+12,mp3@16,codec2@1200+3200 \
  --out "$out/rows/audio" --html "$out/audio"
if [ $# -gt 2 ]; then
  josiecodec eval vision "$3" --bpp 0.1,0.2,0.4 --codecs jpeg@5+20,webp@5+20,avif@20+40 \
    --out "$out/rows/vision" --html "$out/vision"
fi
if [ $# -gt 3 ]; then
  josiecodec eval vision "$4" --kbps 60,85,150,250 --bd-rate x264-file \
    --codecs x264-file@29+33+37+41,x265-file@28+32+36+40,av1-file@40+48+54+60 --out "$out/rows/video" --html "$out/video"
fi
du -sh "$out"/audio "$out"/vision "$out"/video 2>/dev/null || true
