"""Codes that tables and context models are fitted to, in the form in which files hold them."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ...bitstream.container import BLOCK_FRAMES
from ...coding.jodio import Jodio
from ...coding.jovio import Jovio
from ...coding.layer_rate import counts
from ...coding.layer_search import LayerSearch
from ...coding.rdo import best_level_count, search_intra
from ...quantization.vq import VectorQuantizer
from ..audio.data import Recordings
from .config import FULL_SHARE, LAMBDAS, MAX_BEAMS


@dataclass(frozen=True)
class CodedGrid:
    """Codes of a picture, or of some frames of audio (one row).

    Attributes:
        counts: int64 [h, w], levels of each position.
        codes: int64 [h, w, K], anything beyond the last level.
    """

    counts: Tensor
    codes: Tensor


def level_codebooks(model: Jodio | Jovio) -> list[VectorQuantizer]:
    """The codebook of each level; of an audio codec, of each level of its base."""
    if isinstance(model, Jovio):
        return [model.rvq.level(k)[0] for k in range(model.n_q)]
    acoustic = model.quantizer.acoustic_rvq
    return [model.quantizer.semantic_vq, *(acoustic.level(k)[0] for k in range(model.base_levels - 1))]


def codebook_vectors(model: Jodio | Jovio) -> torch.Tensor:
    """Vectors of the codes of each level, as they are summed [K, S, D]; semantic ones have dimensions of their own."""
    if isinstance(model, Jovio):
        parts = [model.rvq.level(k) for k in range(model.n_q)]
        return torch.stack([book.codes_in_use().detach() * scale for book, scale in parts]).float().cpu()
    own = model.quantizer.semantic_vq.codes_in_use().detach().float().cpu()
    parts = [model.quantizer.acoustic_rvq.level(k) for k in range(model.base_levels - 1)]
    rest = torch.stack([book.codes_in_use().detach() * scale for book, scale in parts]).float().cpu()
    return torch.cat([F.pad(own, (0, rest.shape[-1]))[None], F.pad(rest, (own.shape[-1], 0))])


@torch.no_grad()
def layer_codes(model: Jodio, recordings: Recordings, seconds: float) -> list[np.ndarray]:
    """Codes [L, F] of the levels after the base, of `seconds` of recordings or more, at rates from few to many levels.

    Raises:
        CodecError: if the model has none that are coded by frame.
    """
    random, settings = np.random.default_rng(1), dataclasses.replace(model.settings, beams=1)
    codes = []
    for index in random.permutation(len(recordings.segments)):
        wave = recordings.waveform(recordings.segments[index])[None, None].to(model.device)
        if wave.shape[-1] < model.frame_size:
            continue
        search = LayerSearch(model, partial(model.layer_inputs, [wave], settings), settings.beams)
        chosen = counts(search.analysis, random.uniform(1.0, max(1.0, search.analysis.levels)))
        codes.append(search.codes(*chosen, chosen)[:, model.base_levels :].T.astype(np.int64))
        seconds -= wave.shape[-1] / model.sample_rate
        if seconds < 0:
            break
    return codes


@torch.no_grad()
def audio_codes(model: Jodio, recordings: Recordings, seconds: float = 1e9) -> list[np.ndarray]:
    """Codes [K, F] of recordings, all levels of the base; about `seconds` of them, in random order."""
    order = np.random.default_rng(0).permutation(len(recordings.segments))
    codes = []
    for index in order:
        wave = recordings.waveform(recordings.segments[index])
        codes.append(model.encode(wave[None, None].to(model.device), model.base_levels)[0].cpu().numpy())
        seconds -= len(wave) / model.sample_rate
        if seconds < 0:
            break
    return codes


def audio_grids(codes: list[np.ndarray], random: np.random.Generator, default_n_q: int) -> list[CodedGrid]:
    """Codes [K, F] of recordings as blocks of a file hold them: half with the default levels, half with any number."""
    grids = []
    for rows in codes:
        for first in range(0, rows.shape[1], BLOCK_FRAMES):
            block = torch.from_numpy(rows[:, first : first + BLOCK_FRAMES].astype(np.int64))
            levels = default_n_q if random.random() < 0.5 else int(random.integers(1, len(rows) + 1))
            grids.append(CodedGrid(torch.full((1, block.shape[1]), levels), block[:levels].t()[None]))
    return grids


@torch.no_grad()
def searched_codes(
    model: Jovio,
    latent: torch.Tensor,
    start: int,
    random: np.random.Generator,
    lambda_scale: torch.Tensor | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Level counts [N] and codes [N, L] of patches at a random lambda; for some pictures all levels everywhere."""
    rd_lambda = 0.0 if random.random() < FULL_SHARE else float(np.exp(random.uniform(*np.log(LAMBDAS))))
    beams = min(model.settings.beams, MAX_BEAMS)
    intra = search_intra(
        model, latent, model.n_q - start, rd_lambda, start, beams=beams, lambda_scale=lambda_scale, tables=model.tables
    )
    counts = best_level_count(model, intra.result.errors, rd_lambda * intra.lambda_scale.unsqueeze(-1))
    return counts.cpu().numpy(), intra.result.path(counts).cpu().numpy()
