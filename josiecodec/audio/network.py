"""JODIO: waveform -> one semantic and several acoustic streams of codes -> waveform.

    [B, 1, T] -> encoder -> latent [B, F, D] -+-> semantic codebook -----+-> + -> decoder -> [B, 1, T]
                                              +-> acoustic residual stack +

F = ceil(T / frame_size). Codes are [B, K, F], the semantic level first. These levels are the base. A model may
have more after them, which code what the decoded base lacks, see `waveform_layer.py` and `envelope_layer.py`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ..errors import CodecError, CodesError
from ..network import CodecNetwork
from ..nn.conv import pad_to_multiple
from ..nn.streaming import State, Streaming
from ..nn.transformer import Transformer
from ..quantization.config import MAX_LEVELS
from ..quantization.split_rvq import SplitResidualVectorQuantizer
from ..settings import EncoderSettings
from .config import CHUNK_FRAMES, JodioConfig
from .envelope_layer import EnvelopeLayer
from .layers import LayerInput, Loudness, analyse_layers, encode_layers
from .mimi import MimiConfig, MimiDecoder, MimiEncoder
from .network_configs import SpectralDecoderConfig
from .seanet import SeaNetConfig, SeaNetDecoder, SeaNetEncoder
from .spectral import SpectralDecoder, SpectralEncoder
from .stream import AudioStream
from .waveform_layer import WaveformLayer
from .without_offset import WithoutOffset


@dataclass
class JodioOutput:
    """What `JodioNetwork.forward` returns for training.

    Attributes:
        audio: decoded waveform [B, 1, T].
        latent: what the encoder gave, [B, F, D].
        semantic: vectors of the semantic level, [B, F, D], with a gradient to the encoder.
        codes: [B, K, F] of the levels used.
        vq_loss: scalar, commitment and codebook losses.
        pitch_logits: of the classes of pitch, [B, windows, classes], if the decoder has a source.
    """

    audio: Tensor
    latent: Tensor
    semantic: Tensor
    codes: Tensor
    vq_loss: Tensor
    pitch_logits: Tensor | None = None


class JodioNetwork(CodecNetwork):
    """Encoder, quantizers and decoder of JODIO. See `JodioConfig` for its parts."""

    def __init__(self, config: JodioConfig):
        super().__init__(config)
        dim = config.latent_dim
        self.encoder: Streaming
        self.decoder: Streaming
        if isinstance(config.encoder, SeaNetConfig):
            self.encoder = SeaNetEncoder(dim, config.encoder)
        elif isinstance(config.encoder, MimiConfig):
            self.encoder = MimiEncoder(dim, config.encoder)
        else:
            self.encoder = SpectralEncoder(dim, config.encoder)
        if config.encoder_transformer:
            self.encoder_transformer = Transformer(config.encoder_transformer)
        self.quantizer = SplitResidualVectorQuantizer(dim, config.quantizer)
        if config.decoder_transformer:
            self.decoder_transformer = Transformer(config.decoder_transformer)
        if isinstance(config.decoder, SeaNetConfig):
            self.decoder = SeaNetDecoder(dim, config.decoder)
        elif isinstance(config.decoder, MimiConfig):
            self.decoder = MimiDecoder(dim, config.decoder)
        else:
            self.decoder = SpectralDecoder(dim, config.decoder, config.sample_rate, config.base_levels)
        self.adapted_decoder: SpectralDecoder | None = None
        if config.adapted and isinstance(config.decoder, SpectralDecoderConfig):
            self.adapted_decoder = SpectralDecoder(dim, config.decoder, config.sample_rate, config.base_levels)
        self.waveform_layer: WaveformLayer | None = None
        if config.waveform:
            shape = config.sample_rate, config.frame_size, config.quantizer.codebook_size
            self.waveform_layer = WaveformLayer(config.waveform, *shape)
        self.envelope_layer: EnvelopeLayer | None = None
        if config.waveform and config.envelope:
            self.envelope_layer = EnvelopeLayer(config.envelope, *shape)
        by_frame = config.waveform and config.waveform.by_frame
        self.loudness = Loudness(config.frame_size) if by_frame else None
        self.offset = WithoutOffset(config.frame_size) if isinstance(self.encoder, SpectralEncoder) else None

    # What the codec is ------------------------------------------------------------------------

    @property
    def sample_rate(self) -> int:
        """Samples per second of the waveforms that go in and come out."""
        return self.config.sample_rate

    @property
    def channels(self) -> int:
        """Always 1."""
        return 1

    @property
    def frame_size(self) -> int:
        """Samples per frame (the hop)."""
        return self.config.frame_size

    @property
    def frame_rate(self) -> float:
        """Frames per second."""
        return self.sample_rate / self.frame_size

    @property
    def codebook_size(self) -> int:
        """Codes in each codebook; codes are in 0 .. codebook_size - 1."""
        return self.config.quantizer.codebook_size

    @property
    def n_q(self) -> int:
        """Levels that the model has, the semantic one included."""
        return self.config.n_q

    @property
    def base_levels(self) -> int:
        """Levels of semantic and acoustic codes; those after them are the waveform layer's."""
        return self.config.base_levels

    @property
    def streams(self) -> dict[str, slice]:
        """Where in the level axis each named stream lies: `codes[:, codec.streams["semantic"]]`."""
        streams = {"semantic": slice(0, 1), "acoustic": slice(1, self.base_levels)}
        name = "waveform" if self.envelope_layer is None else "layers"
        return streams | ({name: slice(self.base_levels, self.n_q)} if self.waveform_layer else {})

    def frames(self, samples: int) -> int:
        """Frames that `samples` samples become: ceil(samples / frame_size)."""
        return -(-samples // self.frame_size)

    def bitrate(self, n_q: int | None = None) -> float:
        """Bits per second of the codes of `n_q` levels, before any entropy coding."""
        return self.levels(n_q) * math.log2(self.codebook_size) * self.frame_rate

    def n_q_for(self, bits_per_second: float) -> int:
        """The greatest number of levels whose bitrate does not exceed `bits_per_second`.

        Raises:
            CodecError: if that is less than one level takes.
        """
        n_q = math.floor(min(bits_per_second / self.bitrate(1), MAX_LEVELS) + 1e-9) if bits_per_second > 0 else 0
        if n_q < 1:
            raise CodecError(
                f"{bits_per_second:g} bit/s is less than one level of {self.config.name} "
                f"needs ({self.bitrate(1):g} bit/s)"
            )
        return min(n_q, self.n_q)

    # Use ------------------------------------------------------------------------------------

    @torch.no_grad()
    def encode(
        self,
        x: Tensor,
        n_q: int | None = None,
        settings: EncoderSettings | None = None,
        *,
        lengths: Tensor | None = None,
    ) -> Tensor:
        """Turn waveforms into codes.

        Args:
            x: [B, 1, T] (or [B, T] or [T]), in [-1, 1] at `sample_rate`. T may be any length.
            n_q: levels to compute, 1 .. self.n_q; None for those of the settings.
            settings: of the encoder for this call; None for `self.settings`.
            lengths: [B], samples of each item when shorter ones were padded; what lies beyond is
                not heard, and the codes of frames beyond `frames(length)` are zero.

        Returns:
            int64 [B, n_q, frames(T)], the semantic level first; zeros at levels that no decoder would use
            (`JodioConfig.useful_levels`). An item's codes are the same alone
            and in a padded batch. With a beam search (`settings.beams`) the codes of fewer levels
            need not be the first ones of more: `trim` gives those, `encode` better ones.

        Raises:
            CodesError: on a wrong shape or type, or `n_q` out of range.
        """
        n_q = self.levels(n_q, settings)
        x = self.waveform(x)
        total = x.shape[-1]
        if lengths is not None:
            lengths = torch.as_tensor(lengths, device=x.device)
            if lengths.shape != x.shape[:1] or bool((lengths < 0).any()) or bool((lengths > total).any()):
                raise CodesError(f"lengths must be {len(x)} numbers of samples in 0..{total}")
            x = x * (torch.arange(total, device=x.device) < lengths[:, None, None])
        x = pad_to_multiple(x, self.frame_size)
        step = CHUNK_FRAMES * self.frame_size
        if self.config.causal and x.shape[-1] > step:
            state = State()
            parts = (self.prepared(part, state) for part in x.split(step, -1))
            codes = torch.cat([self.encode_frames(part, n_q, state, settings) for part in parts], -1)
        else:
            codes = self.encode_frames(self.prepared(x), n_q, None, settings)
        if lengths is not None:
            frames = -(-lengths // self.frame_size)
            codes = codes * (torch.arange(codes.shape[-1], device=x.device) < frames[:, None, None])
        return codes

    @torch.no_grad()
    def decode(self, codes: Tensor, length: int | None = None) -> Tensor:
        """Turn codes back into waveforms.

        Args:
            codes: integers [B, K, F] (or [K, F]), K in 1 .. self.n_q: the first K levels.
            length: samples to return; None for all F * frame_size.

        Returns:
            [B, 1, length], about [-1, 1] (not clipped), at `sample_rate`.

        Raises:
            CodesError: on a wrong shape or type, codes out of range, or too great a length.
        """
        codes = self.checked_codes(codes)
        total = codes.shape[-1] * self.frame_size
        if length is None:
            length = total
        if not 0 <= length <= total:
            raise CodesError(f"length {length} is not in 0..{total}, what {codes.shape[-1]} frames hold")
        if self.config.causal and codes.shape[-1] > CHUNK_FRAMES:
            state = State()
            parts = [self.decode_frames(part, state) for part in codes.split(CHUNK_FRAMES, -1)]
            audio = torch.cat([*parts, self.finish_frames(state, len(codes))], -1)
        else:
            audio = self.decode_frames(codes)
        return audio[..., :length]

    def streaming(
        self, batch_size: int = 1, n_q: int | None = None, settings: EncoderSettings | None = None
    ) -> AudioStream:
        """Open a stream that encodes chunks of any size and decodes frame by frame.

        Args:
            batch_size: waveforms that run side by side.
            n_q, settings: as of `encode`.

        Returns:
            an `AudioStream`.

        Raises:
            CodecError: if the model is not causal.
        """
        return AudioStream(self, batch_size, self.levels(n_q, settings), self.device, settings)

    # Whole frames, offline or with the memory of a stream ------------------------------------------

    def prepared(self, x: Tensor, state: State | None = None) -> Tensor:
        """[B, 1, F * frame_size] as `encode_frames` and `analyse_frames` take it: without a constant offset."""
        return x if self.offset is None else self.offset(x, state)

    def latent(self, x: Tensor, state: State | None = None) -> Tensor:
        """[B, 1, F * frame_size] -> what is quantized, [B, F, D]."""
        z = self.encoder(x, state)
        return self.encoder_transformer(z, state) if self.config.encoder_transformer else z

    def synthesize(
        self, z: Tensor, levels: int, state: State | None = None, decoder: Streaming | None = None
    ) -> Tensor:
        """Latent [B, F, D], quantized with so many levels -> [B, 1, F * frame_size]; by `decoder` if it is given."""
        decoder = self.decoder if decoder is None else decoder
        if self.config.decoder_transformer:
            z = self.decoder_transformer(z, state)
        if isinstance(decoder, SpectralDecoder):
            return decoder(z, state, levels)
        return decoder(z, state)

    def encode_frames(
        self, x: Tensor, n_q: int, state: State | None = None, settings: EncoderSettings | None = None
    ) -> Tensor:
        """[B, 1, F * frame_size] -> codes [B, n_q, F]. No checks; `encode` is for users."""
        if x.shape[-1] == 0:
            return torch.zeros(len(x), n_q, 0, dtype=torch.long, device=x.device)
        beams = (settings or self.settings).beams
        codes = self.quantizer.encode(self.latent(x, state), min(n_q, self.base_levels), beams)
        if self.waveform_layer is None or n_q <= self.base_levels:
            return codes
        base = self.synthesize(self.quantizer.decode(codes), self.base_levels, state)
        return torch.cat([codes, encode_layers(self, x, base, n_q, state, settings or self.settings)], 1)

    @torch.no_grad()
    def analyse_frames(
        self, x: Tensor, state: State | None = None, settings: EncoderSettings | None = None
    ) -> LayerInput:
        """[B, 1, F * frame_size] -> codes of the base, and what the layers after it have to code.

        Raises:
            CodecError: if the model has no layers after its base.
        """
        if self.waveform_layer is None:
            raise CodecError(f"{self.config.name} has no levels after its base")
        state = State() if state is None else state
        codes = self.quantizer.encode(self.latent(x, state), self.base_levels, (settings or self.settings).beams)
        base = self.synthesize(self.quantizer.decode(codes), self.base_levels, state)
        return analyse_layers(self, x, base, codes, state)

    def layer_rows(self, n_q: int) -> tuple[list[int], list[int]]:
        """Which of the levels after the base are the envelope layer's and the waveform layer's, of n_q in all."""
        positions = self.config.envelope.positions if self.config.envelope else ()
        rows = range(n_q - self.base_levels)
        return [k for k in rows if k in positions], [k for k in rows if k not in positions]

    def decode_frames(self, codes: Tensor, state: State | None = None) -> Tensor:
        """Codes [B, K, F] -> [B, 1, F * frame_size]. No checks; `decode` is for users.

        A stream that began with levels of the waveform layer comes some frames late (`WaveformLayer.lag`), and
        `finish_frames` gives the rest.
        """
        if codes.shape[-1] == 0:
            return torch.zeros(len(codes), 1, 0, device=codes.device)
        codes, rest = codes[:, : self.base_levels], codes[:, self.base_levels :]
        layer, vectors = self.waveform_layer, self.quantizer.decode(codes)
        if layer is None or not (rest.shape[1] or (state is not None and layer in state)):
            return self.synthesize(vectors, codes.shape[1], state, self.adapted_decoder)
        # What the layers say is relative to the base as the encoder knows it, so an adapted decoder has no part in it.
        base = self.synthesize(vectors, codes.shape[1], state)
        if state is None:
            state = State()
            return torch.cat([self.decode_layers(rest, base, state), self.finish_frames(state, len(codes))], -1)
        return self.decode_layers(rest, base, state)

    def decode_layers(self, rest: Tensor, base: Tensor, state: State) -> Tensor:
        """Codes [B, L, F] of the levels after the base, and base, -> waveform, late as `decode_frames` says."""
        layer, envelope_layer = self.waveform_layer, self.envelope_layer
        assert layer is not None
        envelope, waveform = self.layer_rows(self.base_levels + rest.shape[1])
        if envelope_layer is None:
            return layer.decode(rest, base, state)
        begun = layer in state
        heard = envelope_layer.decode(rest[:, envelope], base, state)
        heard = heard if begun else heard[..., envelope_layer.late :]
        return layer.decode(rest[:, waveform], base, state, heard, envelope_layer.late)

    def finish_frames(self, state: State, batch_size: int) -> Tensor:
        """What `decode_frames` still owes at the end of a stream, [B, 1, any]; the state is of no further use."""
        layer, last = self.waveform_layer, None
        if layer is not None and layer in state:
            heard = None if self.envelope_layer is None else self.envelope_layer.finish(state)
            last = layer.finish(state, heard)
        return torch.zeros(batch_size, 1, 0, device=self.device) if last is None else last

    # Training -------------------------------------------------------------------------------------

    def forward(
        self, x: Tensor, n_q: Tensor | None = None, quantize: Tensor | None = None, pitch: Tensor | None = None
    ) -> JodioOutput:
        """Encode, quantize and decode for training.

        Args:
            x: [B, 1, F * frame_size].
            n_q: int [B] on the CPU, levels of each item, of the base alone; None for the config's default.
            quantize: bool [B] on the CPU; items that are False skip the codebooks, which still learn
                from the others. None quantizes all; all False leaves the codebooks alone.
            pitch: Hz in the middle of each synthesis window [B, windows], 0 where it is not known; a
                decoder with a source uses it in place of its own guess.
        """
        if n_q is None:
            n_q = torch.full((len(x),), min(self.settings.n_q, self.base_levels))
        if quantize is None:
            quantize = torch.ones(len(x), dtype=torch.bool)
        z = self.latent(x).float()
        with torch.autocast(z.device.type, enabled=False):
            q = self.quantizer(z, n_q, quantize, self.settings.beams)
        if not isinstance(self.decoder, SpectralDecoder):
            return JodioOutput(self.synthesize(q.vectors, self.base_levels), z, q.semantic, q.codes, q.loss)
        vectors = self.decoder_transformer(q.vectors) if self.config.decoder_transformer else q.vectors
        levels = torch.where(quantize, n_q, self.base_levels).to(z.device)
        audio, logits = self.decoder.with_pitch(vectors, pitch=pitch, levels=levels)
        return JodioOutput(audio, z, q.semantic, q.codes, q.loss, logits)

    def initialise_codebooks(self, latents: Tensor, generator: torch.Generator | None = None) -> None:
        """Place all codes by k-means over `latents` [N, D], at least some 20,000 of them."""
        self.quantizer.initialise(latents, generator)

    # Inside -----------------------------------------------------------------------------------------

    def waveform(self, x: Tensor) -> Tensor:
        """`x` as [B, 1, T]; raises CodesError if it cannot be that."""
        if not isinstance(x, Tensor):
            raise CodesError(f"waveforms must be tensors, not {type(x).__name__}")
        if not x.is_floating_point():
            raise CodesError(f"waveforms must be floating point in [-1, 1], not {x.dtype}")
        if x.dim() == 1:
            x = x[None, None]
        elif x.dim() == 2:
            x = x[:, None]
        if x.dim() != 3 or x.shape[1] != 1 or not len(x):
            raise CodesError(f"waveforms must be [B, 1, T], not {list(x.shape)}")
        return x.to(next(self.parameters()).dtype)

    def checked_codes(self, codes: Tensor) -> Tensor:
        """`codes` as int64 [B, K, F]; raises CodesError if they are not codes of this model."""
        if codes.is_floating_point() or codes.dtype == torch.bool:
            raise CodesError(f"codes must be integers, not {codes.dtype}")
        if codes.dim() == 2:
            codes = codes[None]
        if codes.dim() != 3 or not 1 <= codes.shape[1] <= self.n_q:
            raise CodesError(f"codes must be [B, 1..{self.n_q}, F], not {list(codes.shape)}")
        codes = codes.long()
        if codes.numel() and not 0 <= int(codes.min()) <= int(codes.max()) < self.codebook_size:
            raise CodesError(f"codes must be in 0..{self.codebook_size - 1}")
        return codes
