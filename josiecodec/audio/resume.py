"""Decoding that begins in the middle of a recording, behind codes that are lost.

Most of a decoder forgets what it heard within two seconds. Two things it counts from the beginning on: its place in the
noise, which follows from the number of the frame, and the phase of the pulse train, the sum of all pitches so far. The
levels after the base are relative to a base of the right phase; on top of another they are worse than none. That phase
is one number. Files may say it at some frames (`bitstream/marks.py`); from the next of them it is counted back over the
pitches between. Else the codes tell it: only on the right one is what they decode to a sum of harmonics with little
between them.

    frames 0 .. WARM_UP - 1     the base alone
    then                        the phase that was counted back, or the one on which the spectra of the low band are
                                sparsest; the base (with its envelopes, which need no phase) until one stands out
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ..nn.streaming import State
from .mimi import MimiConfig
from .pitch_classes import WARM_UP
from .source import TURN, HarmonicNoiseSource

if TYPE_CHECKING:
    from .network import JodioNetwork
    from .waveform_layer import WaveformLayer

LISTENED = 48  # frames on which phases are compared, at most
NEEDED = 10  # of these that have levels of the waveform layer, at least
GRID = 64  # phases compared at first, a turn in all
FINER = (8, 8, 8)  # steps on either side of the best one, each time that many times smaller
CERTAIN = 4.0  # standard deviations by which the right phase is better than others
ATTEMPTS = 4  # blocks whose phases are compared, each of which takes as long as decoding some minutes
APART = 0.06  # turns from the best phase that others are away
FLOOR = 1e-5  # of the mean power, below which spectra are alike


class ResumedStream:
    """As the decoding side of an `AudioStream`, from the frame `first` of a recording on. Batches of one.

    Attributes:
        found: whether the phase is known, and so whether levels of the waveform layer are used.
    """

    def __init__(self, network: JodioNetwork, first: int):
        self.network = network
        self.state = State()
        self.left, self.attempts = WARM_UP, ATTEMPTS
        self.source = next((m for m in network.modules() if isinstance(m, HarmonicNoiseSource)), None)
        self.found = self.source is None
        if self.source is not None:
            self.state[self.source] = self.source.start(first * (network.frame_size // self.source.hop), network.device)

    @torch.no_grad()
    def count_back(self, codes: Tensor, phase: int) -> None:
        """Learn the phase from one that is known later on, before anything is decoded: exact behind the warm-up.

        Args:
            codes: of the base [1, K, f], those that are decoded first, all levels that the base is decoded from.
            phase: of the pulse train after them.
        """
        if self.source is None or codes.shape[-1] < WARM_UP:
            return
        counted = State()
        counted[self.source] = self.state[self.source]
        for part in codes.split(WARM_UP, -1):
            self.network.synthesize(self.network.quantizer.decode(part), part.shape[1], counted)
        turns, place = self.state[self.source]
        self.state[self.source] = ((turns + phase - counted[self.source][0]) % TURN, place)
        self.found = True

    @torch.no_grad()
    def decode(self, codes: Tensor) -> Tensor:
        """Codes [1, K, f], all frames so far with equally many levels -> samples, as `JodioNetwork.decode_frames`."""
        network = self.network
        codes = network.checked_codes(codes)
        if network.waveform_layer is None or codes.shape[1] <= network.base_levels:
            return network.decode_frames(codes, self.state)
        early, codes = codes[..., : self.left], codes[..., self.left :]
        self.left -= early.shape[-1]
        parts = [self._decode(early, early[:, network.base_levels : network.base_levels])]
        rest = codes[:, network.base_levels :]
        if not self.found and codes.shape[-1]:
            phase = self._find_phase(codes[..., :LISTENED])
            if phase is None:
                rest = self._without_waveform(rest)
            else:
                assert self.source is not None
                turns, place = self.state[self.source]
                self.state[self.source] = ((turns + phase) % TURN, place)
                self.found = True
        parts.append(self._decode(codes, rest))
        return torch.cat(parts, -1)

    def _find_phase(self, codes: Tensor) -> int | None:
        """`find_phase`, while there are attempts left."""
        if not self.attempts or not enough(self.network, codes):
            return None
        self.attempts -= 1
        return find_phase(self.network, codes, self.state)

    def finish(self) -> Tensor:
        """As of `AudioStream`."""
        last = self.network.finish_frames(self.state, 1)
        self.state = State()
        return last

    def _decode(self, codes: Tensor, rest: Tensor) -> Tensor:
        """Samples of codes [1, K, f], whose levels after the base are `rest`."""
        if not codes.shape[-1]:
            return torch.zeros(1, 1, 0, device=codes.device)
        network = self.network
        codes = codes[:, : network.base_levels]
        base = network.synthesize(network.quantizer.decode(codes), codes.shape[1], self.state)
        return network.decode_layers(rest, base, self.state)

    def _without_waveform(self, rest: Tensor) -> Tensor:
        """Levels after the base [1, L, f] less those of the waveform layer."""
        layer, network = self.network.waveform_layer, self.network
        assert layer is not None
        if not layer.config.by_frame:
            return rest[:, :0]
        rest = rest.clone()
        rest[:, network.layer_rows(network.base_levels + rest.shape[1])[1]] = 0
        return rest


class EnteredStream:
    """As `ResumedStream`, where the phase at a later frame is known, or nothing counts it: exact from a frame on.

    Args:
        network: the model.
        first: frame at which decoding begins, on the base alone.
        layers_from: frame from which on layers after the base are used, at the same or a later one.
        mark: a frame, and the phase of the pulse train after the frame before it.
    """

    def __init__(self, network: JodioNetwork, first: int, layers_from: int, mark: tuple[int, int] | None = None):
        self.network, self.frame, self.layers_from, self.mark = network, first, layers_from, mark
        self.state = State()
        self.source = next((m for m in network.modules() if isinstance(m, HarmonicNoiseSource)), None)
        if self.source is not None:
            self.state[self.source] = self.source.start(first * (network.frame_size // self.source.hop), network.device)

    @torch.no_grad()
    def decode(self, codes: Tensor) -> Tensor:
        """Codes [1, K, f] -> samples, as `JodioNetwork.decode_frames`."""
        codes = self.network.checked_codes(codes)
        parts = [torch.zeros(1, 1, 0, device=codes.device)]
        while codes.shape[-1]:
            if self.source is not None and self.mark is not None and self.mark[0] == self.frame:
                turns, place = self.state[self.source]
                self.state[self.source] = torch.full_like(turns, self.mark[1]), place
            turns_at = [f for f in (self.layers_from, *(self.mark or ())[:1]) if f > self.frame]
            count = min([codes.shape[-1], *(f - self.frame for f in turns_at)])
            now, codes = codes[..., :count], codes[..., count:]
            if self.frame < self.layers_from:
                now = now[:, : self.network.base_levels]
            parts.append(self.network.decode_frames(now, self.state))
            self.frame += count
        return torch.cat(parts, -1)

    def finish(self) -> Tensor:
        """As of `AudioStream`."""
        return self.network.finish_frames(self.state, 1)


def run_up(network: JodioNetwork) -> int:
    """Frames after which no layer of a decoder remembers what came before, but for what is counted."""
    config = network.config
    steps = 0
    if config.decoder_transformer:
        steps = config.decoder_transformer.layers * config.decoder_transformer.context
    if isinstance(config.decoder, MimiConfig):
        steps = config.decoder.transformer.layers * config.decoder.transformer.context  # at least one step a frame
    return WARM_UP + steps


def phase_of(network: JodioNetwork, state: State) -> int | None:
    """The phase of the pulse train after the frames that a stream has decoded; None if nothing counts it."""
    source = next((m for m in network.modules() if isinstance(m, HarmonicNoiseSource)), None)
    return int(state[source][0]) % TURN if source is not None and source in state else None


def meet_phase(network: JodioNetwork, state: State, phase: int) -> None:
    """Go on with another phase of the pulse train, where a stream counts one."""
    source = next((m for m in network.modules() if isinstance(m, HarmonicNoiseSource)), None)
    if source is not None and source in state:
        turns, place = state[source]
        state[source] = torch.full_like(turns, phase), place


def coded_frames(network: JodioNetwork, codes: Tensor) -> tuple[list[int], Tensor]:
    """The levels of the waveform layer among those of codes [1, K, f], and which frames have any, [f]."""
    layer = network.waveform_layer
    assert layer is not None
    rows = [network.base_levels + k for k in network.layer_rows(codes.shape[1])[1]]
    return rows, layer.level_counts(codes[:, rows])[0] > 0


def enough(network: JodioNetwork, codes: Tensor) -> bool:
    """Whether the phase can be told from codes [1, K, f]; not with a transformer, whose caches are not repeated."""
    return not network.config.decoder_transformer and int(coded_frames(network, codes)[1].sum()) >= NEEDED


def find_phase(network: JodioNetwork, codes: Tensor, state: State) -> int | None:
    """What to add to the phase of the pulse train (in turns / `TURN`) so that the levels after the base fit.

    Args:
        network: a model with a waveform layer and a source.
        codes: [1, K, f] that come next, of which there are `enough`.
        state: of the stream so far, which stays as it is.

    Returns:
        the phase, or None if none is clearly the best.
    """
    rows, used = coded_frames(network, codes)
    phases = torch.arange(GRID) / GRID
    values = sparsity(network, codes, rows, used, state, phases)
    best = phases[values.argmin()]
    off = (phases - best + 0.5) % 1 - 0.5
    others = values[off.abs() > APART]
    if others.mean() - values.min() < CERTAIN * others.std():
        return None
    step = 1.0 / GRID
    for count in FINER:
        step /= count
        phases = best + step * torch.arange(-count, count + 1)
        best = phases[sparsity(network, codes, rows, used, state, phases).argmin()]
    return int(float(best) * TURN) % TURN


def sparsity(
    network: JodioNetwork, codes: Tensor, rows: list[int], used: Tensor, state: State, phases: Tensor
) -> Tensor:
    """How full the spectra of the low band are on bases of so many phases: mean logarithm of their power, [phases].

    Args:
        network, codes, state: as of `find_phase`.
        rows: the levels of the waveform layer.
        used: [f], frames that have any.
        phases: in turns, [phases].
    """
    layer, source = network.waveform_layer, next(m for m in network.modules() if isinstance(m, HarmonicNoiseSource))
    assert layer is not None
    parts = (network.decoder, layer.decimate, layer.covariance, layer.mdct, layer.inverse, layer.delay_base)
    used_here = {module for part in parts for module in part.modules()}
    batch = State({m: _repeated(memory, len(phases)) for m, memory in state.items() if m in used_here})
    turns, place = batch[source]
    batch[source] = ((turns + (phases.double() * TURN).long().to(turns)[:, None]) % TURN, place)
    codes = codes.expand(len(phases), -1, -1)
    base_codes = codes[:, : network.base_levels]
    base = network.synthesize(network.quantizer.decode(base_codes), base_codes.shape[1], batch)
    low = layer.decimate(base.float(), batch)
    decoded, _ = layer.low_bands(codes[:, rows], low, batch)
    return _fullness(layer, decoded, used)


def _fullness(layer: WaveformLayer, low: Tensor, used: Tensor) -> Tensor:
    """`sparsity` of low bands [B, f * hops * hop], a hop late."""
    size, step = 2 * layer.hop, layer.hop // 2
    windows = low.unfold(1, size, step)
    middles = torch.arange(windows.shape[1], device=low.device) * step + size // 2 - layer.hop
    frames = (middles // (layer.hop * layer.config.hops)).clamp(0, len(used) - 1)
    spectra = torch.fft.rfft(windows[:, used[frames]] * torch.hann_window(size, device=low.device))
    power = spectra[..., 2 : layer.coefficients - 2].abs().square()
    return (power + FLOOR * power[0].mean()).log().mean((1, 2)).cpu()


def _repeated(memory: Any, count: int) -> Any:
    """What a layer remembers of one stream, for so many."""
    if isinstance(memory, tuple):
        return tuple(_repeated(part, count) for part in memory)
    return memory.expand(count, *memory.shape[1:]) if memory.dim() else memory
