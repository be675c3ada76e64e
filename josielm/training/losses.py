"""Cross-entropies of a batch, by level."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..model.delays import delay
from ..model.language_model import LM, Inputs, Steps
from .config import LossConfig

IGNORED = -100


@dataclass(frozen=True)
class Losses:
    """Sums of negative log-likelihoods in nats, and how many ids they are of.

    Attributes:
        sums, counts: [K + 3]: the levels, then text that is words, then text that is silence; last the distances of
            expected code vectors, and how many.
    """

    sums: Tensor
    counts: Tensor

    def total(self, config: LossConfig, balance: Balance | None = None) -> Tensor:
        """Their weighted mean, a scalar: every id counts as much as its stream's weight, or as `balance` has learnt."""
        levels = len(self.sums) - 3
        if balance is not None:
            return balance(*self._kinds(levels), config)
        weights = [config.semantic, *([config.acoustic] * (levels - 1)), config.text, config.text_silence]
        weight = torch.tensor(weights, device=self.sums.device)
        mean = (weight * self.sums[:-1]).sum() / (weight * self.counts[:-1]).sum().clamp_min(1e-9)
        return mean + config.recon * self.sums[-1] / self.counts[-1].clamp_min(1)

    def _kinds(self, levels: int) -> tuple[Tensor, Tensor]:
        """Sums and counts of semantic codes, acoustic codes, words, silence, and distances: [5] each."""
        sizes = [1, levels - 1, 1, 1, 1]
        sums, counts = (torch.stack([part.sum() for part in x.split(sizes)]) for x in (self.sums, self.counts))
        return sums, counts

    def means(self) -> dict[str, float]:
        """Nats per id by name; what does not occur is left out."""
        levels = len(self.sums) - 3
        names = [*(f"level_{k}" for k in range(levels)), "text", "text_silence", "recon"]
        return {n: s / c for n, s, c in zip(names, self.sums.tolist(), self.counts.tolist()) if c}


class Balance(nn.Module):
    """Weights of the kinds of losses that are learnt: sum of w (exp(-s) mean + s), s from 0 on; see `LossConfig`."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.zeros(5))  # "table": it does not decay

    def forward(self, sums: Tensor, counts: Tensor, config: LossConfig) -> Tensor:
        """Sums and counts [5] of `Losses` by kind -> their weighted sum; kinds that do not occur have no part in it."""
        factors = [config.semantic, config.acoustic, config.text, config.text_silence, config.recon]
        weight = torch.tensor(factors, device=sums.device) * (counts > 0)
        return (weight * ((-self.table).exp() * sums / counts.clamp_min(1) + self.table)).sum() / weight.sum()


def losses(
    model: LM,
    inputs: Inputs,
    fraction: float = 1.0,
    generator: torch.Generator | None = None,
    vectors: Sequence[Tensor] | None = None,
) -> Losses:
    """Negative log-likelihoods of all that is to be learnt in a batch.

    Args:
        model: whose.
        inputs: checked already (`LM.check`).
        fraction: share of the frames to run the depth transformer on.
        generator: draws them; on the CPU.
        vectors: of the codes of each level, [codebook_size, any width], to count distances of.
    """
    steps = model.steps(inputs)
    context = model.context(steps, inputs).flatten(0, 1)
    codes, words = _targets(model, steps, inputs.learn)
    flat_codes = steps.codes.transpose(1, 2).flatten(0, 1)
    text = None if steps.text is None else steps.text.flatten()
    rows = (codes >= 0).any(1)
    if model.depth.text_step and words is not None:
        rows = rows | (words >= 0)
    chosen = _some(rows.nonzero()[:, 0], fraction, generator)
    part = context[chosen]
    part_text = None if text is None else text[chosen]
    hidden = model.depth(part, flat_codes[chosen], part_text)
    sums, counts = [], []
    far, measured = context.new_zeros(()), context.new_zeros(())
    for level in range(model.config.n_q):
        logits = model.code_logits(part, hidden, level, part_text)
        target = codes[chosen, level]
        sums.append(F.cross_entropy(logits, target, ignore_index=IGNORED, reduction="sum"))
        counts.append((target >= 0).sum())
        if vectors is not None:
            known = target >= 0
            off = logits[known].softmax(-1) @ vectors[level] - vectors[level][target[known]]
            far = far + off.square().sum() / vectors[level].var(0).sum()
            measured = measured + known.sum()
    if words is None:
        text_sums, text_counts = [context.new_zeros(())] * 2, [context.new_zeros(())] * 2
    elif model.depth.text_step:
        text_sums, text_counts = _text(model, part, hidden, words[chosen])
    else:
        text_sums, text_counts = _text(model, context, None, words)
    return Losses(torch.stack([*sums, *text_sums, far]).float(), torch.stack([*counts, *text_counts, measured]).float())


def _targets(model: LM, steps: Steps, learn: Tensor | None) -> tuple[Tensor, Tensor | None]:
    """What each step is to predict, IGNORED where nothing: codes [N, K] and text [N]."""
    config = model.config
    codes = torch.where(steps.codes < config.codebook_size, steps.codes, IGNORED)
    words = steps.text
    if words is not None:
        words = torch.where(words < model.ids.text_start, words, IGNORED) if config.text_head != "none" else None
    if learn is not None:
        wanted = delay(learn[:, None].expand(-1, config.n_q, -1), config.level_delays, 0)
        codes = torch.where(wanted, codes, IGNORED)
        if words is not None:
            words = torch.where(delay(learn[:, None], [config.text_delay], 0)[:, 0], words, IGNORED)
    return codes.transpose(1, 2).flatten(0, 1), None if words is None else words.flatten()


def _some(rows: Tensor, fraction: float, generator: torch.Generator | None) -> Tensor:
    if fraction >= 1 or len(rows) < 2:
        return rows
    order = torch.randperm(len(rows), generator=generator)
    return rows[order[: max(round(fraction * len(rows)), 1)].sort().values.to(rows.device)]


def _text(model: LM, context: Tensor, hidden: Tensor | None, target: Tensor) -> tuple[list[Tensor], list[Tensor]]:
    known = target >= 0
    logits = model.text_logits(context[known], None if hidden is None else hidden[known])
    nll = F.cross_entropy(logits, target[known], reduction="none")
    silent = target[known] >= model.ids.silence
    return [nll[~silent].sum(), nll[silent].sum()], [(~silent).sum(), silent.sum()]
