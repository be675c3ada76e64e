#!/usr/bin/env bash
# Opus files between sphn, which speech-text models read and write sound with, and everything else.
#
# Expected: a file by sphn.write_opus begins in every player where the sound began, and sphn.read_opus gives of any
#   file what other decoders give: the header says how many samples at the start are the encoder's delay, and its
#   readers drop these.
# Happens:  write_opus says 3840 (80 ms), but puts no such silence in front: the delay of its encoder is 312. FFmpeg
#   and libsndfile do as they are told and lose the first 73 ms of the recording; all else is that early. read_opus
#   does not look at the number at all, so sphn reads its own files whole, 312 samples late; files by others have their
#   312 samples of delay left in, and the filling at the end, too. A first word may be gone, and codes made by one way
#   lie a frame of 80 ms beside those made by another. From 24 kHz, resampling comes on top.
# Seen with: sphn 0.2.1, PyAV 18.1.0 (FFmpeg 8.1.2), soundfile 0.14.0 (libsndfile 1.2.2): of 96000 samples at 48 kHz
#   FFmpeg and libsndfile read 92160; of FFmpeg's 96000 sphn reads 96960.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check sphn==0.2.1 av==18.1.0 soundfile==0.14.0 numpy==2.4.6
cd "$work"
"$work/venv/bin/python" - <<'EOF2'
from pathlib import Path

import av
import numpy as np
import soundfile
import sphn

RATE = 48000
random = np.random.default_rng(0)
sound = 0.1 * np.convolve(random.standard_normal(2 * RATE), np.hanning(65) / 32, "same").astype(np.float32)


def by_ffmpeg(name):
    with av.open(name) as container:
        return np.concatenate([frame.to_ndarray().ravel() for frame in container.decode(audio=0)])


readers = {
    "FFmpeg": by_ffmpeg,
    "libsndfile": lambda name: soundfile.read(name, dtype="float32")[0],
    "sphn": lambda name: sphn.read_opus(name)[0][0],
}


def read(name):
    """Number of samples by each reader, and how many samples late the sound is."""
    found = {}
    for reader, function in readers.items():
        got = function(name)
        late = int(np.correlate(got[:60000], sound[20000:28192], "valid").argmax()) - 20000
        found[reader] = len(got), late
    return found


sphn.write_opus("sphn.opus", sound, RATE)
with av.open("ffmpeg.opus", "w", format="ogg") as container:
    stream = container.add_stream("libopus", rate=RATE, layout="mono")
    stream.bit_rate = 96000
    frame = av.AudioFrame.from_ndarray(sound[None], "flt", "mono")
    frame.sample_rate = RATE
    container.mux(stream.encode(frame))
    container.mux(stream.encode(None))
found = {}
for name in ("ffmpeg.opus", "sphn.opus"):
    data = Path(name).read_bytes()
    header = data.index(b"OpusHead")
    skip = int.from_bytes(data[header + 10 : header + 12], "little")
    found[name] = read(name)
    print(f"{name}, {len(sound)} samples written, {skip} to drop:", found[name], "samples, late")
    assert skip == (312 if name == "ffmpeg.opus" else 3840)
for reader in ("FFmpeg", "libsndfile"):
    assert found["ffmpeg.opus"][reader] == (len(sound), 0)
    length, late = found["sphn.opus"][reader]
    assert length == len(sound) - 3840 and abs(late + 3528) < 10
length, late = found["sphn.opus"]["sphn"]
assert length == len(sound) and abs(late - 312) < 10
length, late = found["ffmpeg.opus"]["sphn"]
assert length == len(sound) + 960 and abs(late - 312) < 10
EOF2
echo; echo "Other readers miss the first 73 ms of Opus by sphn; sphn reads theirs 6.5 ms late."
