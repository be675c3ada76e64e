"""What callers with arrays and files may hand to a codec, and how mistakes in it are told.

Codecs compute on float32 tensors at one sample rate. The mixins here turn what people have at hand into that: NumPy
arrays, recordings of `load_audio`, other sample rates, codes of any integer type. Values that cannot be meant (NaN,
integers taken for samples, pictures in 0..255) are an error or a warning instead of silent noise.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from ..errors import CodecError, CodesError
from ..media.audio_reader import Audio, resample
from ..settings import EncoderSettings, Rate
from .checks import checked_peak
from .result import Progress, Result

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

MAX_PICTURE = 2.0  # of pixels; resampling overshoots by less, 8-bit integers lie far above
HALF = (torch.float16, torch.bfloat16)


def as_tensor(x: Any, what: str) -> Tensor:
    """A tensor or NumPy array as a tensor.

    Raises:
        CodesError: if it is neither.
    """
    if isinstance(x, np.ndarray) and x.dtype.kind in "fiub":
        if x.dtype.kind == "u" and x.dtype.itemsize > 1:
            x = x.astype(np.int64)  # few operations of PyTorch take them
        return torch.from_numpy(np.ascontiguousarray(x.astype(x.dtype.newbyteorder("="), copy=False)))
    if not isinstance(x, Tensor):
        raise CodesError(f"{what} must be tensors or NumPy arrays of numbers, not {type(x).__name__}")
    return x


def as_codes(codes: Any, n_q: int, device: torch.device) -> Tensor:
    """Codes of any integer type on a device, int64.

    Raises:
        CodesError: if they are no integers, or evidently frames by levels, as datasets store them.
    """
    codes = as_tensor(codes, "codes")
    if codes.is_floating_point() or codes.dtype == torch.bool:
        raise CodesError(f"codes must be integers, not {codes.dtype}")
    if codes.dim() == 2 and codes.shape[0] > n_q >= codes.shape[1]:
        raise CodesError(
            f"codes must be [levels, frames], not {list(codes.shape)}: of a clip of a dataset take clip.levels_first"
        )
    return codes.to(device).long()


def check_precision(model: torch.nn.Module) -> None:
    """Codecs compute in float32, else codes would depend on the machine.

    Raises:
        CodecError: if the model was converted to half precision.
    """
    dtype = next(model.parameters()).dtype
    if dtype in HALF:
        raise CodecError(f"codecs do not run in {str(dtype).removeprefix('torch.')}: call codec.float()")


def check_samples(x: Tensor) -> Tensor:
    """Samples without those that are not finite, which become silence, as when files are read; each with a warning."""
    if not x.numel():
        return x
    if not checked_peak(float(x.detach().abs().max())):
        x = torch.nan_to_num(x, nan=0.0, posinf=0.0, neginf=0.0)
        checked_peak(float(x.detach().abs().max()))
    return x


def check_pixels(x: Tensor) -> None:
    """Make sure that pictures are in [0, 1], about.

    Raises:
        CodesError: if a pixel is not finite or far outside.
    """
    low, high = (float(v) for v in x.detach().aminmax()) if x.numel() else (0.0, 0.0)
    if not (np.isfinite(low) and np.isfinite(high)):
        raise CodesError("pictures hold pixels that are not finite (NaN or infinite)")
    if high > MAX_PICTURE or low < 1 - MAX_PICTURE:
        raise CodesError(f"pictures must be in [0, 1], not {low:.3g}..{high:.3g}; divide bytes by 255")


class FileDoor:
    """`encode_file` and `decode_file` of both codecs."""

    def encode_file(
        self,
        source: str | Path,
        target: str | Path | None = None,
        *,
        n_q: int | None = None,
        kbps: float | None = None,
        bpp: float | None = None,
        rate: Rate | None = None,
        settings: EncoderSettings | None = None,
        overwrite: bool = False,
        progress: Progress | None = None,
        stereo: bool = False,
    ) -> Result:
        """Encode a media file to a `.josie` file: `josiecodec.encode_file` with this model."""
        return _files().encode_file(
            source,
            target,
            n_q=n_q,
            kbps=kbps,
            bpp=bpp,
            rate=rate,
            settings=settings,
            overwrite=overwrite,
            progress=progress,
            codecs=(self,),
            stereo=stereo,
        )

    def decode_file(
        self,
        source: str | Path,
        target: str | Path | None = None,
        *,
        n_q: int | None = None,
        sample_rate: int | None = None,
        salvage: bool = False,
        overwrite: bool = False,
        progress: Progress | None = None,
        mono: bool = False,
        start: float = 0.0,
        seconds: float | None = None,
        size: int | tuple[int, int] | None = None,
    ) -> Result:
        """Decode a `.josie` file to a media file: `josiecodec.decode_file` with this model."""
        return _files().decode_file(
            source,
            target,
            n_q=n_q,
            sample_rate=sample_rate,
            salvage=salvage,
            overwrite=overwrite,
            progress=progress,
            codecs=(self,),
            mono=mono,
            start=start,
            seconds=seconds,
            size=size,
        )

    def decode_piece(
        self,
        source: str | Path | bytes | IO[bytes],
        start: float = 0.0,
        seconds: float | None = None,
        *,
        n_q: int | None = None,
        salvage: bool = False,
        mono: bool = False,
    ) -> Tensor:
        """Decode a piece of a `.josie` file to an array: `josiecodec.decode_piece` with this model."""
        how = {"n_q": n_q, "salvage": salvage, "mono": mono}
        kind = self.kind  # type: ignore[attr-defined]
        return _files().decode_piece(source, start, seconds, kind=kind, codecs=(self,), **how)


def _files() -> Any:
    """`josiecodec/files.py`, by name: it stands above the codecs, which it imports."""
    return import_module("josiecodec.files")


def audio_tensor(x: Tensor | ArrayLike | Audio, sample_rate: int | None, target: int) -> Tensor:
    """Waveforms at the rate of a model.

    Args:
        x: [..., T] in [-1, 1], or a recording of `load_audio`, which knows its rate.
        sample_rate: of `x` in Hz; None if it is that of the model (or of the recording).
        target: rate of the model.

    Raises:
        CodesError: if the rate is not positive, contradicts that of the recording, or `x` is no array of numbers.
    """
    if isinstance(x, Audio):
        if sample_rate not in (None, x.sample_rate):
            raise CodesError(f"the recording has {x.sample_rate} Hz, not {sample_rate}")
        sample_rate, samples = x.sample_rate, x.samples
    else:
        samples = as_tensor(x, "waveforms")
    if sample_rate is None or sample_rate == target:
        return samples
    if isinstance(sample_rate, bool) or not isinstance(sample_rate, (int, np.integer)) or sample_rate < 1:
        raise CodesError(f"sample_rate must be a whole number of Hz, not {sample_rate!r}")
    if not samples.is_floating_point():
        raise CodesError(
            f"waveforms must be floating point in [-1, 1], not {samples.dtype}; divide 16-bit samples by 32768"
        )
    flat = samples.detach().reshape(-1, samples.shape[-1]).cpu().float()
    y = resample(flat, int(sample_rate), target)
    return y.reshape(*samples.shape[:-1], y.shape[-1]).to(samples.device)
