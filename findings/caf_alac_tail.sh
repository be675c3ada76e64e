#!/usr/bin/env bash
# Apple Lossless in a CAF file.
#
# Expected: a lossless codec gives all samples back; the very same packets in MP4 (m4a) do.
# Happens:  FFmpeg cuts the end of the last packet off twice. The packet itself is short, and the padding that the CAF
#   packet table names, which a decoder that always gives 4096 samples would have to drop, is taken off once more. Up to
#   half a packet (2048 samples) is lost; nothing if the last packet is less than half full. It happens with files by
#   libsndfile, which reads them back whole, and with those by FFmpeg itself.
# Seen with: PyAV 18.1.0 (FFmpeg 8.1.2), soundfile 0.14.0 (libsndfile 1.2.2): 46922 of 48037 samples.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check av==18.1.0 soundfile==0.14.0 numpy==2.4.6
cd "$work"
"$work/venv/bin/python" - <<'EOF'
import io
from fractions import Fraction

import av
import numpy as np
import soundfile

RATE = 48000


def by_ffmpeg(sound, container):
    file = io.BytesIO()
    with av.open(file, "w", format=container) as out:
        stream = out.add_stream("alac", rate=RATE, layout="mono")
        stream.codec_context.format = "s16p"
        frame = av.AudioFrame.from_ndarray(sound[None], format="s16p", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = RATE, 0, Fraction(1, RATE)
        out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    file.seek(0)
    return file


def by_libsndfile(sound):
    file = io.BytesIO()
    soundfile.write(file, sound, RATE, format="CAF", subtype="ALAC_16")
    file.seek(0)
    return file


def decoded(file):
    with av.open(file) as container:
        says = container.streams.audio[0].duration
        return np.concatenate([f.to_ndarray()[0] for f in container.decode(audio=0)]), says


for length, lost in ((8292, 0), (9000, 0), (11192, 1096), (12287, 1), (48037, 1115)):
    sound = np.random.default_rng(length).integers(-3000, 3000, length).astype(np.int16)
    whole = soundfile.read(by_libsndfile(sound), dtype="int16")[0]
    assert np.array_equal(whole, sound)
    for name, file in (("libsndfile's CAF", by_libsndfile(sound)), ("FFmpeg's CAF", by_ffmpeg(sound, "caf")),
                       ("FFmpeg's MP4", by_ffmpeg(sound, "ipod"))):
        got, says = decoded(file)
        print(f"{name}: {length} samples written, file says {says}, FFmpeg decodes {len(got)}")
        assert says == length and np.array_equal(got, sound[: len(got)])
        assert length - len(got) == (0 if "MP4" in name else lost)
EOF
echo; echo "Lossless, but without its last 1115 samples."
