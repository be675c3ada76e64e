"""What notebooks show of recordings and token files: a player, a spectrogram, and what the file takes."""

from __future__ import annotations

import base64
import html
import io
import math
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from .bitstream.header import AlphaInfo, AudioInfo, VisionInfo
from .errors import CodecError
from .media.audio_reader import Audio
from .media.images import to_bytes_rgb
from .nn.spectra import mel_filterbank
from .shipped import find_shipped

if TYPE_CHECKING:
    from .bitstream.josie_file import TokenFile

SHOWN_SECONDS = 60.0  # of audio that is embedded in a page
SHOWN_PIXELS = 1 << 21  # of an image that is
RANGE = 70.0  # dB of a spectrogram
# Colour map of spectrograms, dark to bright.
COLORS = torch.tensor([[0.0, 0.0, 0.02], [0.27, 0.06, 0.42], [0.65, 0.17, 0.39], [0.95, 0.45, 0.2], [0.99, 0.99, 0.75]])
WINDOW, HOP = 1024, 256


def mel_levels(wave: Tensor, sample_rate: int, bands: int = 96) -> Tensor:
    """Mel power of a waveform [T] in dB, [bands, frames], low bands first."""
    window = torch.hann_window(WINDOW)
    spectrum = torch.stft(wave, WINDOW, HOP, window=window, center=True, pad_mode="constant", return_complex=True).abs()
    return ((spectrum.t() @ mel_filterbank(WINDOW // 2 + 1, bands, sample_rate)).clamp_min(1e-5).log10() * 20).t()


def spectrogram(wave: Tensor, sample_rate: int, height: int = 96, top: float | None = None) -> Tensor:
    """Mel spectrogram of a waveform [T] as an image [3, height, W], low bands at the bottom.

    Args:
        wave: samples.
        sample_rate: in Hz.
        height: mel bands, evenly spaced from 0 Hz to half the sample rate.
        top: level in dB (of `mel_levels`) of the brightest colour, 70 dB above the darkest; None for the loudest
            of the waveform. Several images are comparable with the same.
    """
    power = mel_levels(wave, sample_rate, height)
    level = ((power - (float(power.max()) if top is None else top) + RANGE) / RANGE).clamp(0, 1).flip(0)
    position = level * (len(COLORS) - 1)
    low = position.floor().long().clamp_max(len(COLORS) - 2)
    fraction = (position - low).unsqueeze(-1)
    return (COLORS[low] * (1 - fraction) + COLORS[low + 1] * fraction).permute(2, 0, 1)


def mel_axis(sample_rate: int) -> list[tuple[str, float]]:
    """Labels of the frequency axis of `spectrogram` and their places, 0 at the bottom to 1 at the top."""
    top = math.log10(1 + sample_rate / 2 / 700)
    marks = [hz for hz in (0, 500, 1000, 2000, 4000, 8000, 16000) if hz <= sample_rate / 2]
    return [(f"{hz / 1000:g}", round(math.log10(1 + hz / 700) / top, 4)) for hz in marks]


def audio_html(audio: Audio) -> str:
    """A player of a recording, its spectrogram and its facts; of long ones the beginning."""
    rate, samples = audio.sample_rate, audio.samples
    seconds = samples.shape[-1] / rate
    said = f"{seconds:.2f} s, {rate} Hz, {samples.shape[0]} channel(s)"
    if audio.original_rate != rate or audio.original_channels != samples.shape[0]:
        said += f", read from {audio.original_rate} Hz, {audio.original_channels} channel(s)"
    return _card("Audio", [said], _sound(samples[0], rate))


def file_html(file: TokenFile) -> str:
    """The streams of a token file with their rate, decoded and shown if it is short and its model is at hand."""
    lines, shown = [], ""
    size = len(file.to_bytes())
    for stream in file.streams:
        i, seconds = stream.info, stream.seconds
        what = f"{i.levels} levels of {i.model}"
        if isinstance(i, AudioInfo) and i.image:
            lines.append("stereo image; what is heard here is the mix to mono")
        elif isinstance(i, AudioInfo):
            gain = (f", coded {i.gain:+d} dB" if i.gain else "") + (", synthetic" if i.synthetic else "")
            lines.append(f"audio: {seconds:.2f} s, {stream.units} frames, {what}{gain}")
        elif isinstance(i, VisionInfo):
            lines.append(f"vision: {i.width} x {i.height}, {f'{seconds:.2f} s' if i.rate else 'image'}, {what}")
        elif isinstance(i, AlphaInfo):
            lines.append("alpha; what is seen here is the picture without it")
        shown += _decoded(file, stream)
    seconds = max((s.seconds for s in file.streams), default=0.0)
    first = file.streams[0].info
    rate = f"{size} bytes"
    if seconds:
        rate += f", {8 * size / seconds / 1000:.3g} kbit/s"
    elif isinstance(first, VisionInfo):
        rate += f", {8 * size / (first.width * first.height):.3g} bits per pixel"
    return _card("TokenFile", [rate, *lines, *file.problems], shown)


def _decoded(file: TokenFile, stream: Any) -> str:
    """A stream to hear or see; nothing if it is long, a video, or if its model did not come with the package."""
    from .hub.store import load

    i = stream.info
    still = isinstance(i, VisionInfo) and not i.rate and i.width * i.height <= SHOWN_PIXELS
    if not still and not (isinstance(i, AudioInfo) and stream.seconds <= SHOWN_SECONDS):
        return ""
    try:
        place = find_shipped(i.fingerprint, i.model)
        if place is None:
            return ""
        codec: Any = load(place)
        decoded = codec.decompress(type(file)([stream]).to_bytes())
    except CodecError as error:
        return f"<p>{html.escape(str(error))}</p>"
    return _image(decoded, "decoded image") if still else _sound(decoded[0], codec.sample_rate)


def _sound(wave: Tensor, rate: int) -> str:
    import soundfile

    wave = wave[: round(SHOWN_SECONDS * rate)].detach().cpu().float()
    if not len(wave):
        return ""
    file = io.BytesIO()
    soundfile.write(file, wave.clamp(-1, 1).numpy(), rate, format="FLAC", subtype="PCM_16")
    player = f'<audio controls preload="metadata" style="width:100%" src="{_url(file, "audio/flac")}"></audio>'
    caption = f"0 to {len(wave) / rate:.3g} s, 0 to {rate / 2000:g} kHz on the mel scale, {RANGE:g} dB"
    picture = _image(spectrogram(wave, rate), "spectrogram", "width:100%;height:6rem;image-rendering:auto")
    return f"{picture}<small>{caption}</small>{player}"


def _image(x: Tensor, name: str, style: str = "max-width:100%") -> str:
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(to_bytes_rgb(x)).save(file, "PNG")
    return f'<img alt="{name}" style="{style}" src="{_url(file, "image/png")}">'


def _url(file: io.BytesIO, kind: str) -> str:
    return f"data:{kind};base64,{base64.b64encode(file.getvalue()).decode()}"


def _card(title: str, lines: list[str], body: str) -> str:
    said = "<br>".join(html.escape(line) for line in lines)
    return f'<div style="max-width:40rem"><b>{title}</b><br>{said}<div>{body}</div></div>'
