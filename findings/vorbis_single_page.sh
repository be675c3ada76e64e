#!/usr/bin/env bash
# A short Ogg Vorbis clip read by FFmpeg.
#
# Expected: an Ogg Vorbis file has exactly as many samples as its last page says, in every decoder.
# Happens:  if all sound fits into one Ogg page, FFmpeg cannot tell where its first packet starts, lets the clock
#   begin one block late, and cuts the end by that clock: up to 256 real samples are lost, or up to 255 samples of
#   filling come in addition. What there is agrees with libsndfile from the first sample on. Longer files are exact.
# Seen with: PyAV 18.1.0 (FFmpeg 8.1.2), files by soundfile 0.14.0 (libsndfile 1.2.2): 47909 of 48037 samples.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check av==18.1.0 soundfile==0.14.0 numpy==2.4.6
cd "$work"
"$work/venv/bin/python" - <<'EOF'
import io

import av
import numpy as np
import soundfile


def sound_pages(data):  # Ogg pages that end a packet of sound: their sample position is above 0
    at, found = 0, 0
    while (at := data.find(b"OggS", at)) >= 0:
        found += int.from_bytes(data[at + 6 : at + 14], "little", signed=True) > 0
        at += 4
    return found


for rate, length, difference in ((48000, 48037, -128), (24000, 24037, -256), (8000, 8037, 155), (48000, 240011, 0)):
    tone = 0.5 * np.sin(2 * np.pi * 440 * np.arange(length) / rate)
    file = io.BytesIO()
    soundfile.write(file, tone, rate, format="OGG", subtype="VORBIS")
    pages = sound_pages(file.getvalue())
    file.seek(0)
    right = soundfile.read(file, dtype="float32")[0]
    file.seek(0)
    with av.open(file) as container:
        frames = [(frame.pts, frame.to_ndarray()[0]) for frame in container.decode(audio=0)]
    got = np.concatenate([samples for _, samples in frames])
    both = min(len(got), length)
    print(f"{rate} Hz, {pages} page(s): {length} samples written, libsndfile {len(right)}, "
          f"FFmpeg {len(got)}, its clock starts at {frames[0][0]}")
    assert len(right) == length and np.abs(got[:both] - right[:both]).max() < 1e-5
    assert len(got) - length == difference and (pages == 1) == (frames[0][0] > 0) == (difference != 0)
EOF
echo; echo "The last 128 samples of a one-second clip are missing."
