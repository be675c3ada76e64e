#!/usr/bin/env bash
# Reading an Opus file twice by rewinding it.
#
# Expected: container.seek(0) and decoding again gives the same samples as the first time.
# Happens:  in Ogg, WebM and Matroska the second pass begins with the 312 samples of encoder delay (6.5 ms) that the
#   first pass had left out, so everything lies 312 samples later. MP3 in Matroska: 1105 samples (23 ms). Opus in MP4
#   and AAC in MP4 and Matroska are the same both times. Opening the file anew is the way that always works.
# Seen with: PyAV 18.1.0 (FFmpeg 8.1.2).
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check av==18.1.0 numpy==2.4.6
cd "$work"
"$work/venv/bin/python" - <<'EOF'
import io
from fractions import Fraction

import av
import numpy as np

RATE, N = 48000, 48037
noise = np.random.default_rng(0).standard_normal(N).astype(np.float32) * 0.1
noise = np.convolve(noise, np.hanning(9) / 4, "same").astype(np.float32)


def write(codec, container, form):
    file = io.BytesIO()
    with av.open(file, "w", format=container) as out:
        stream = out.add_stream(codec, rate=RATE, layout="mono")
        stream.bit_rate = 96000
        frame = av.AudioFrame.from_ndarray(noise[None], format=form, layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = RATE, 0, Fraction(1, RATE)
        out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    file.seek(0)
    return file


def all_samples(container):
    return np.concatenate([frame.to_ndarray()[0] for frame in container.decode(audio=0)])


def late_by(first, second):  # by how many samples `second` lies behind `first`
    size = 1 << 17
    match = np.fft.irfft(np.fft.rfft(second, size) * np.conj(np.fft.rfft(first, size)), size)
    at = int(match.argmax())
    return at if at < size // 2 else at - size


wanted = {
    ("libopus", "ogg"): 312,
    ("libopus", "webm"): 312,
    ("libopus", "matroska"): 312,
    ("libopus", "mp4"): 0,
    ("libmp3lame", "matroska"): 1105,
    ("libmp3lame", "mp3"): 0,
    ("aac", "matroska"): 0,
    ("aac", "mp4"): 0,
}
for (codec, container), late in wanted.items():
    with av.open(write(codec, container, "flt" if codec == "libopus" else "fltp")) as file:
        first = all_samples(file)
        file.seek(0)
        second = all_samples(file)
    got = late_by(first, second), len(second) - len(first)
    print(f"{codec} in {container}: second pass {got[0]} samples late, {got[1]} longer")
    assert got == (late, late), got
EOF
echo; echo "seek(0) brings the encoder delay of Opus back."
