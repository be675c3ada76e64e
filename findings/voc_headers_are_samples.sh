#!/usr/bin/env bash
# VOC in libsndfile.
#
# Expected: a recording in several blocks, as FFmpeg and SoX write it, is read as its samples, or there is an error.
# Happens:  of a VOC of 16 bits the four bytes before each further block (its kind and size) are taken for samples: two
#   more for each block, heard as clicks. There is no error.
# Seen with: soundfile 0.14.0 (libsndfile 1.2.2), PyAV 18.1.0 (FFmpeg 8.1.2), which reads it right.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check av==18.1.0 soundfile==0.14.0 numpy==2.4.6
cd "$work"
"$work/venv/bin/python" - <<'EOF'
import av
import numpy as np
import soundfile

wave = (8000 * np.sin(np.arange(16000) * 2 * np.pi * 440 / 16000)).astype(np.int16)
with av.open("a.voc", "w") as container:
    stream = container.add_stream("pcm_s16le", rate=16000, layout="mono")
    for first in range(0, len(wave), 1000):
        frame = av.AudioFrame.from_ndarray(wave[None, first : first + 1000], format="s16", layout="mono")
        frame.sample_rate, frame.pts = 16000, first
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))
with av.open("a.voc") as container:
    right = np.concatenate([frame.to_ndarray().ravel() for frame in container.decode(audio=0)])
read, rate = soundfile.read("a.voc", dtype="int16")
step = np.abs(np.diff(read.astype(int)))
print(f"written {len(wave)} samples; FFmpeg reads {len(right)}, libsndfile {len(read)} at {rate} Hz")
print(f"largest step from sample to sample: {np.abs(np.diff(wave.astype(int))).max()} written, {step.max()} read, "
      f"at {np.flatnonzero(step > 3000)[:8].tolist()} ...")
assert np.array_equal(right, wave)
assert len(read) > len(wave) and step.max() > 3000
EOF
echo; echo "Headers of blocks are heard as clicks."
