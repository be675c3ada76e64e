#!/usr/bin/env bash
# Apple Lossless of 20 bits with more than one channel, written with soundfile.
#
# Expected: a lossless codec gives back what went in. libsndfile has four kinds of it, ALAC_16, ALAC_20, ALAC_24 and
#   ALAC_32, all for any number of channels; those of 16, 24 and 32 bits, and of 20 bits with one channel, are lossless.
# Happens:  two channels of 20 bits come back as something else, about four times as loud, as soon as they are not tonal: noise of
#   -20 dB, such as applause, cymbals or rain, is enough; tones are well. There is no error and no warning, and length,
#   rate and channels are right. The file itself is broken: FFmpeg, which decodes the others, refuses its packets.
# Seen with: soundfile 0.14.0 (libsndfile 1.2.2); PyAV 18.1.0 (FFmpeg 8.1.2) for comparison.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check soundfile==0.14.0 av==18.1.0 numpy==2.4.6
cd "$work"
"$work/venv/bin/python" - <<'EOF'
import io

import av
import numpy as np
import soundfile

RATE, LENGTH = 48000, 2 * 48000
time = np.arange(LENGTH) / RATE
tones = np.stack([0.25 * np.sin(2 * np.pi * 220 * (n + 1) * time) for n in range(2)], 1)
noise = 0.1 * np.random.default_rng(0).standard_normal((LENGTH, 2))


def packets_that_decode(data):
    good = bad = 0
    with av.open(io.BytesIO(data)) as container:
        for packet in container.demux(audio=0):
            if not packet.size:
                continue
            try:
                good += len(packet.decode()) > 0
            except av.FFmpegError:
                bad += 1
    return good, bad


for channels in (1, 2):
    for bits in (16, 20, 24, 32):
        for name, kind in (("tones", tones), ("noise", noise)):
            sound = np.rint(kind[:, :channels] * 2 ** (bits - 1)) / 2 ** (bits - 1)
            file = io.BytesIO()
            soundfile.write(file, sound, RATE, format="CAF", subtype=f"ALAC_{bits}")
            back, rate = soundfile.read(io.BytesIO(file.getvalue()), always_2d=True)
            assert (back.shape, rate) == (sound.shape, RATE)
            error = np.sqrt(np.mean((back - sound) ** 2) / np.mean(sound**2))
            good, bad = packets_that_decode(file.getvalue())
            print(f"{channels} channel(s), {bits} bits, {name}: error {error:.3g} of the sound; FFmpeg decodes {good} "
                  f"packets, refuses {bad}")
            if (channels, bits, name) == (2, 20, "noise"):
                assert error > 0.5 and bad > good
            else:
                assert error < 1e-6 and bad == 0
EOF
echo; echo "Lossless, but another sound."
