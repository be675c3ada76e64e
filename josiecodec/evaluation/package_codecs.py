"""Audio codecs of packages of their own: snac, descript-audio-codec, encodec, as snac:PATH, dac:PATH, encodec:PATH.

The weights lie where PATH says; nothing is downloaded. Nothing but tensors and numbers is unpickled of them.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..errors import CodecError, ModelError
from .neural_codec import NeuralCodec, one_of


def weights_of(path: Path) -> Any:
    """Tensors and settings of a file of PyTorch.

    Raises:
        ModelError: if it cannot be read, or holds anything else.
    """
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror or error})") from None
    except Exception as error:  # of the unpickler
        raise ModelError(f"{path}: no weights ({str(error).splitlines()[0]})") from None


def _filled(model: Any, weights: Any, path: Path) -> Any:
    try:
        model.load_state_dict(weights)
    except (RuntimeError, TypeError, AttributeError) as error:
        raise ModelError(f"{path}: weights of another model ({str(error).splitlines()[0]})") from None
    return model


class Snac(NeuralCodec):
    """SNAC (hubertsiuzdak/snac), codebooks of several frame rates. PATH is a folder with config.json and
    pytorch_model.bin. There are no settings.

    Its decoder adds noise: it is made from the same seed each time. A file begins with the number of samples, since the
    package fills clips up to whole windows of attention.
    """

    def __init__(self, path: Path, setting: str, device: str):
        import snac

        if setting:
            raise CodecError(f"snac has no settings, such as {setting!r}")
        try:
            settings = json.loads((path / "config.json").read_text(encoding="utf-8"))
            model = snac.SNAC(**settings)
        except (OSError, ValueError, TypeError) as error:
            raise ModelError(f"{path}: no model of snac ({error})") from None
        self.model: Any = _filled(model, weights_of(path / "pytorch_model.bin"), path).to(device).eval()
        self.strides = [self.model.vq_strides[0] // s for s in self.model.vq_strides]  # codes of a slowest frame
        super().__init__(device, self.model.sampling_rate, self.model.codebook_size)

    def codes_of(self, x: Tensor) -> tuple[bytes, Tensor]:
        rows = [part[0].unflatten(0, (-1, n)).t() for part, n in zip(self.model.encode(x), self.strides)]
        return struct.pack("<I", x.shape[-1]), torch.cat(rows)

    def head_size(self, data: bytes) -> int:
        return 4

    def sound_of(self, head: bytes, codes: Tensor) -> Tensor:
        parts = [part.transpose(1, 2).flatten(1) for part in codes.split(self.strides, 1)]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            return self.model.decode(parts)[..., : struct.unpack("<I", head)[0]]


class DescriptDac(NeuralCodec):
    """DAC (descriptinc/descript-audio-codec). PATH is a file of weights, as the package saves them. The setting is a
    number of codebooks.
    """

    def __init__(self, path: Path, setting: str, device: str):
        import dac

        stored = weights_of(path)
        try:
            model = dac.DAC(**stored["metadata"]["kwargs"])
            weights = stored["state_dict"]
        except (KeyError, TypeError) as error:
            raise ModelError(f"{path}: no model of descript-audio-codec ({error})") from None
        self.model: Any = _filled(model, weights, path).to(device).eval()
        self.count = int(setting) if setting else None
        super().__init__(device, self.model.sample_rate, self.model.codebook_size, int(self.model.hop_length))

    def codes_of(self, x: Tensor) -> tuple[bytes, Tensor]:
        return b"", self.model.encode(x, self.count)[1][0]

    def sound_of(self, head: bytes, codes: Tensor) -> Tensor:
        return self.model.decode(self.model.quantizer.from_codes(codes)[0])


class MetaEncodec(NeuralCodec):
    """EnCodec (facebookresearch/encodec). PATH is a file of weights, of the model of 48 kHz if its name says 48khz. The
    setting is a bandwidth in kbit/s. Chunks of the model of 48 kHz are joined; a file begins with their loudness.
    """

    def __init__(self, path: Path, setting: str, device: str):
        import encodec

        stereo = "48khz" in path.name
        make = encodec.EncodecModel.encodec_model_48khz if stereo else encodec.EncodecModel.encodec_model_24khz
        self.model: Any = _filled(make(pretrained=False), weights_of(path), path).to(device).eval()
        if setting:
            self.model.set_target_bandwidth(float(setting))
        super().__init__(device, self.model.sample_rate, self.model.quantizer.bins)

    def codes_of(self, x: Tensor) -> tuple[bytes, Tensor]:
        parts = self.model.encode(x.expand(-1, self.model.channels, -1))
        scales = [1.0 if scale is None else float(scale) for _, scale in parts]
        sizes = [codes.shape[-1] for codes, _ in parts]
        head = struct.pack(f"<H{len(parts)}f{len(parts)}H", len(parts), *scales, *sizes) if self.model.segment else b""
        return head, torch.cat([codes[0] for codes, _ in parts], -1)

    def head_size(self, data: bytes) -> int:
        return 2 + 6 * int(struct.unpack_from("<H", data)[0]) if self.model.segment else 0

    def sound_of(self, head: bytes, codes: Tensor) -> Tensor:
        if not self.model.segment:
            return self.model.decode([(codes, None)])
        count = (len(head) - 2) // 6
        scales, sizes = struct.unpack_from(f"<{count}f", head, 2), struct.unpack_from(f"<{count}H", head, 2 + 4 * count)
        parts = codes[..., : sum(sizes)].split(list(sizes), -1)
        given = [torch.tensor([[scale]], device=self.device) if self.model.normalize else None for scale in scales]
        return self.model.decode(list(zip(parts, given)))


PACKAGES: dict[str, tuple[str, str, Callable[[Path, str, str], NeuralCodec]]] = {
    "snac": ("snac", "snac", Snac),
    "dac": ("dac", "descript-audio-codec", DescriptDac),
    "encodec": ("encodec", "encodec", MetaEncodec),
}


def package_codec(name: str, setting: str, device: str) -> NeuralCodec:
    """The codec of "snac:PATH", "dac:PATH" or "encodec:PATH".

    Raises:
        CodecError: if the package is not installed or there is no such setting.
        ModelError: if there are no weights of this model.
    """
    kind, _, path = name.partition(":")
    _, package, make = PACKAGES[kind]
    if not path:
        raise CodecError(f"{kind}: takes the path of its weights, {kind}:PATH; packages are {one_of(PACKAGES)}")
    try:
        return make(Path(path), setting, device)
    except ImportError as error:
        raise CodecError(f"{name} needs {package}: pip install {package} ({error})") from None
