#!/usr/bin/env bash
# Windows Media Audio, encoded and decoded by the same library.
#
# Expected: the delay that the encoder puts in front is what the decoder takes off, as with AAC in MP4 or Opus: what comes
#   back begins where the original began, or some samples late.
# Happens:  the decoder takes off 2048 samples more than the encoder has put in. The first 2048 samples of the recording
#   are gone (43 ms at 48 kHz), and everything comes that much early against the pictures of a film.
# Seen with: PyAV 18.1.0 (FFmpeg 8.1.2), NumPy 2.4.6.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check av==18.1.0 numpy==2.4.6
cd "$work"
"$work/venv/bin/python" - <<'EOF'
import av
import numpy as np

noise = (3000 * np.random.default_rng(0).standard_normal(48000)).astype(np.int16)
print("PyAV", av.__version__, "libavcodec", av.library_versions["libavcodec"])
lags = {}
for codec, name in (("libopus", "a.ogg"), ("wmav2", "a.wma"), ("wmav1", "b.wma")):
    with av.open(name, "w", format="ogg" if codec == "libopus" else "asf") as container:
        stream = container.add_stream(codec, rate=48000, layout="mono")
        stream.bit_rate = 192000
        frame = av.AudioFrame.from_ndarray(noise[None], "s16", "mono")
        frame.sample_rate = 48000
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            container.mux(packet)
    resampler = av.AudioResampler("s16", "mono", 48000)
    with av.open(name) as container:
        parts = [p.to_ndarray()[0] for f in container.decode(audio=0) for p in resampler.resample(f)]
    decoded = np.concatenate(parts).astype(float)
    match = np.correlate(decoded[15000:40000], noise[20000:28192].astype(float), "valid")
    lags[codec] = 15000 + int(match.argmax()) - 20000
    print(f"{codec}: sample 20000 of the original is sample {20000 + lags[codec]} of what was decoded")
assert lags == {"libopus": 0, "wmav2": -2048, "wmav1": -2048}
EOF
echo; echo "The first 2048 samples of WMA were lost."
