"""Audio codecs of the package transformers: all of its classes that turn sound into codes, or latents, and back."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad

from ..errors import CodecError, ModelError
from .neural_codec import NeuralCodec, one_of


class OfTransformers(NeuralCodec):
    """A codec whose `encode` and `decode` take and give codes [1, K, F] and nothing else.

    Args:
        model: of the package, in eval mode on `device`.
        setting: a number of codebooks, or what `keyword` of `encode` takes; empty for the model's default.
    """

    keyword = ""
    number: Callable[[str], Any] = int

    def __init__(self, model: Any, setting: str, device: str, **more: Any):
        config = model.config
        rate = getattr(config, "sampling_rate", None) or getattr(config, "sample_rate", None)
        super().__init__(device, more.pop("rate", rate), more.pop("size", getattr(config, "codebook_size", 0)), **more)
        self.model, self.config = model, config
        if setting and not self.keyword:
            raise CodecError(f"{config.model_type} has no settings, such as {setting!r}")
        chosen = type(self).number(setting) if setting else None
        self.arguments: dict[str, Any] = {self.keyword: chosen} if self.keyword else {}

    def codes_of(self, x: Tensor) -> tuple[bytes, Tensor]:
        return b"", self.model.encode(x, **self.arguments).audio_codes[0]

    def sound_of(self, head: bytes, codes: Tensor) -> Tensor:
        return self.model.decode(audio_codes=codes).audio_values


class Mimi(OfTransformers):
    """Mimi. The setting is a number of codebooks."""

    keyword = "num_quantizers"


class Dac(OfTransformers):
    """DAC, which drops what is no whole frame. The setting is a number of codebooks."""

    keyword = "n_quantizers"

    def __init__(self, model: Any, setting: str, device: str):
        super().__init__(model, setting, device, frame=model.config.hop_length)


class Xcodec(OfTransformers):
    """X-Codec and Higgs Audio 2: the semantic half hears the whole clip, zeros behind it included. The setting is a
    bandwidth in kbit/s.
    """

    keyword = "bandwidth"
    number = float

    def __init__(self, model: Any, setting: str, device: str):
        super().__init__(model, setting, device, frame=model.config.hop_length * semantic_step(model.config))
        known = list(self.config.target_bandwidths)
        if setting and self.arguments["bandwidth"] not in known:
            raise CodecError(f"{self.config.model_type} has bandwidths of {', '.join(f'{b:g}' for b in known)} kbit/s")


def semantic_step(config: Any) -> int:
    """Frames of Higgs Audio that belong together; 1 of X-Codec."""
    return max(int(getattr(config, "semantic_downsample_factor", 1)), 1)


class WavTokenizer(OfTransformers):
    """WavTokenizer, one codebook."""


class Features(OfTransformers):
    """X-Codec 2 and NeuCodec, one codebook of 65,536: they take a mel spectrogram, too, of the one clip, without a
    mask, in which NeuCodec calls padding speech. NeuCodec goes from 16 to 24 kHz.
    """

    def __init__(self, model: Any, setting: str, device: str):
        config = model.config
        size = 1
        for n in config.quantization_levels:
            size *= n
        rate = getattr(config, "input_sampling_rate", None) or config.sampling_rate
        output = getattr(config, "output_sampling_rate", rate)
        super().__init__(model, setting, device, rate=rate, size=size, output_rate=output)
        from transformers import NeuCodecFeatureExtractor, Xcodec2FeatureExtractor

        kind = NeuCodecFeatureExtractor if config.model_type == "neucodec" else Xcodec2FeatureExtractor
        self.hop = getattr(config, "encoder_hop_length", config.hop_length)
        self.extractor = kind(sampling_rate=rate, hop_length=self.hop)

    def codes_of(self, x: Tensor) -> tuple[bytes, Tensor]:
        frames = max(-(-x.shape[-1] // self.hop), 2)  # of one alone nothing can be normalised
        codes = self._encoded(x)
        if codes.shape[-1] < frames:  # the spectrogram of NeuCodec ends half a window early
            codes = self._encoded(pad(x, (0, (frames + 1) * self.hop - 1 - x.shape[-1])))
        return b"", codes[:, :frames]

    def _encoded(self, x: Tensor) -> Tensor:
        found = self.extractor(x[0, 0].cpu().numpy(), sampling_rate=self.rate, return_tensors="pt")
        given = {name: found[name].to(self.device) for name in ("input_values", "input_features")}
        return self.model.encode(**given).audio_codes[0]


class Latents(OfTransformers):
    """VibeVoice and Pocket TTS, whose latents are no codes: 16-bit floats. Decoded whole, since steps differ."""

    def __init__(self, model: Any, setting: str, device: str):
        config = model.config
        frame = getattr(config, "frame_size", 0) or config.hop_length
        super().__init__(model, setting, device, size=0, frame=frame, rate=getattr(config, "sampling_rate", 24000))
        if config.model_type == "vibevoice_acoustic_tokenizer":
            self.arguments = {"sample": False}  # else it adds noise, in eval mode, too

    def codes_of(self, x: Tensor) -> tuple[bytes, Tensor]:
        return b"", self.model.encode(x, **self.arguments).latents[0].t()

    def sound_of(self, head: bytes, codes: Tensor) -> Tensor:
        out = self.model.decode(codes.transpose(1, 2))
        return out.audio if hasattr(out, "audio") else out.audio_values


class Encodec(OfTransformers):
    """EnCodec. The setting is a bandwidth in kbit/s. Of a model of two channels both are given the same; of one that
    codes in chunks (48 kHz) files begin with the number of chunks and the loudness of each.
    """

    keyword = "bandwidth"
    number = float

    def __init__(self, model: Any, setting: str, device: str):
        super().__init__(model, setting, device)
        self.channels = self.config.audio_channels
        self.chunked = self.config.chunk_length is not None
        self.normalized = bool(self.config.normalize)

    def codes_of(self, x: Tensor) -> tuple[bytes, Tensor]:
        out = self.model.encode(x.expand(-1, self.channels, -1), **self.arguments)
        codes = out.audio_codes[:, 0]  # chunks first, then the batch
        last = getattr(out, "last_frame_pad_length", 0) or 0
        head = b""
        if self.chunked or self.normalized:
            scales = [1.0 if scale is None else float(scale) for scale in out.audio_scales]
            head = struct.pack(f"<H{len(scales)}f", len(scales), *scales)
        codes = torch.cat(list(codes), -1)
        return head, codes[:, : codes.shape[-1] - last]

    def head_size(self, data: bytes) -> int:
        return 2 + 4 * int(struct.unpack_from("<H", data)[0]) if self.chunked or self.normalized else 0

    def sound_of(self, head: bytes, codes: Tensor) -> Tensor:
        scales: list[Tensor | None] = [None]
        if head:
            scales = list(
                torch.tensor(struct.unpack_from(f"<{len(head) // 4}f", head, 2)).view(-1, 1, 1).to(self.device)
            )
        per = codes.shape[-1]
        if self.chunked:  # all chunks but the last have as many frames
            per = -(-self.config.chunk_length // self.config.hop_length)
        last = len(scales) * per - codes.shape[-1]
        whole = pad(codes, (0, last)).unflatten(-1, (len(scales), per)).permute(2, 0, 1, 3)
        used = scales if self.normalized else [None] * len(scales)
        return self.model.decode(whole, used, last_frame_pad_length=last).audio_values


ADAPTERS: dict[str, Callable[[Any, str, str], OfTransformers]] = {
    "encodec": Encodec,
    "dac": Dac,
    "mimi": Mimi,
    "xcodec": Xcodec,
    "higgs_audio_v2_tokenizer": Xcodec,
    "xcodec2": Features,
    "neucodec": Features,
    "wavtokenizer": WavTokenizer,
    "vibevoice_acoustic_tokenizer": Latents,
    "pocket_tts_audio_tokenizer": Latents,
}


def transformers_codec(repository: str, setting: str, device: str) -> OfTransformers:
    """A codec of the package transformers whose weights are on this machine, a folder or a repository that was fetched.

    Raises:
        CodecError: if the package is not installed, or the model is no such codec or has no such setting.
        ModelError: if the weights are not here.
    """
    try:
        from transformers import AutoModel
    except ImportError:
        raise CodecError(f"hf:{repository} needs the package transformers") from None
    try:
        model: Any = AutoModel.from_pretrained(repository, local_files_only=True).to(device).eval()
    except (OSError, ValueError) as error:
        raise ModelError(f"hf:{repository}: {str(error).splitlines()[0]}") from None
    kind = model.config.model_type
    if kind not in ADAPTERS:
        raise CodecError(f"hf:{repository} is of kind {kind}, not one of {one_of(ADAPTERS)}")
    return ADAPTERS[kind](model, setting, device)
