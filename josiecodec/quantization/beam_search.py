"""Beam search for the codes of a residual stack: at every level several hypotheses are kept, not the best one alone.

The nearest code of one level need not leave what the next levels can code best. Keeping the M best hypotheses, sums of
one code a level so far, finds better ones (Chan, Gupta and Gersho 1992 on tree-searched multistage vector quantizers);
decoders need not know.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..nn.linear import exporting, stable_linear
from .rvq import ResidualVectorQuantizer
from .vq import VectorQuantizer

CHUNK = 128  # vectors compared with all codes together: their products have to fit the processor's cache
GROUP = 16  # numbers of which at first only the greatest is looked at, see `_greatest`


@dataclass
class BeamResult:
    """What a search made of N vectors and L levels, M hypotheses being kept.

    Attributes:
        errors: [N, L + 1], squared error of the best hypothesis of 0, 1, ... levels; infinite where the search had
            stopped.
        codes: int16 [L, N, M], last code of each hypothesis, the best one first.
        parents: uint8 [L, N, M], which hypothesis of the level before it goes on from.
    """

    errors: Tensor
    codes: Tensor
    parents: Tensor

    @staticmethod
    def empty(x: Tensor, levels: int, beams: int) -> BeamResult:
        """Of vectors [N, D], before any search."""
        errors = torch.full((len(x), levels + 1), float("inf"), device=x.device)
        errors[:, 0] = x.square().sum(-1)
        codes = torch.zeros(levels, len(x), beams, dtype=torch.int16, device=x.device)
        return BeamResult(errors, codes, torch.zeros_like(codes, dtype=torch.uint8))

    def path(self, counts: Tensor) -> Tensor:
        """Codes of the best hypothesis of `counts` levels [N]: int64 [N, L], zeros behind the last one."""
        out = torch.zeros(len(counts), len(self.codes), dtype=torch.long, device=counts.device)
        beam = torch.zeros(len(counts), 1, dtype=torch.long, device=counts.device)
        for k in range(int(counts.max()) - 1 if len(counts) else -1, -1, -1):
            inside = counts > k
            code = self.codes[k].gather(1, beam)[:, 0].long() & 0xFFFF
            out[:, k] = torch.where(inside, code, out[:, k])
            beam = torch.where(inside[:, None], self.parents[k].gather(1, beam).long(), beam)
        return out

    def update(self, where: Tensor, other: BeamResult) -> None:
        """Take over the result of another search for the vectors `where`."""
        levels = len(other.codes)
        self.errors[where, : levels + 1] = other.errors
        self.codes[:levels, where], self.parents[:levels, where] = other.codes, other.parents


def beam_encode(rvq: ResidualVectorQuantizer, x: Tensor, levels: int, beams: int) -> Tensor:
    """[B, T, dim] -> codes [B, T, levels]; the nearest ones where codebooks do not compare vectors as they are."""
    levels = min(levels, rvq.levels)
    if beams == 1 or not levels or not rvq.supports_beam_search:
        return rvq.encode(x, levels)
    z = rvq.enter(x)
    flat = z.reshape(-1, z.shape[-1])
    parts = (flat,) if exporting() else flat.split(CHUNK)
    return torch.cat([_all_levels(rvq, part, levels, beams) for part in parts]).view(*z.shape[:2], levels)


def _all_levels(rvq: ResidualVectorQuantizer, x: Tensor, levels: int, beams: int) -> Tensor:
    """Codes [n, levels] of the best hypotheses for vectors [n, D]; no step depends on what came out before."""
    rest = x.unsqueeze(1)  # [n, m, D], what each hypothesis leaves over
    chosen: list[Tensor] = []  # the code of each level so far in each hypothesis, [n, m]
    for k in range(levels):
        quantizer, scale = rvq.level(k)
        code, parent, _ = _step(quantizer, rest / scale, beams)
        rest = rest.gather(1, parent.unsqueeze(-1).expand(-1, -1, rest.shape[-1])) - quantizer.decode(code) * scale
        chosen = [*(codes.gather(1, parent) for codes in chosen), code]
    return torch.stack([codes[:, 0] for codes in chosen], -1)


@torch.no_grad()
def beam_search(
    rvq: ResidualVectorQuantizer,
    x: Tensor,
    levels: int,
    beams: int,
    start: int = 0,
    stop_below: float | Tensor = -1.0,
    code_costs: Sequence[Tensor] | None = None,
    rd_lambda: Tensor | None = None,
) -> BeamResult:
    """Search codes for vectors [N, D] of the stack's own space.

    Args:
        rvq: the stack; its codebooks must compare vectors as they are.
        x: the vectors.
        levels: of codes wanted, from level `start` on; as many as there are.
        beams: hypotheses that are kept.
        start: the first level.
        stop_below: squared error [N] below which a vector needs no further levels.
        code_costs: of the codes of each level of the stack [S], in bits. Hypotheses are then compared by, and `errors`
            are, squared error + lambda x cost: of two codes as good the cheaper one is taken.
        rd_lambda: lambda of each vector [N]; 1 if it is not given.
    """
    result = BeamResult.empty(x, levels, beams)
    for first in range(0, len(x), CHUNK):
        part = slice(first, first + CHUNK)
        ones = torch.ones_like(result.errors[part, 0])
        limit = stop_below[part] if isinstance(stop_below, Tensor) else stop_below * ones
        views = result.errors[part], result.codes[:, part], result.parents[:, part]
        each = ones if rd_lambda is None else rd_lambda[part]
        _search_chunk(rvq, x[part], start, limit, code_costs, each, *views)
    return result


def _search_chunk(
    rvq: ResidualVectorQuantizer,
    x: Tensor,
    start: int,
    stop_below: Tensor,
    code_costs: Sequence[Tensor] | None,
    rd_lambda: Tensor,
    errors: Tensor,
    codes: Tensor,
    parents: Tensor,
) -> None:
    """`beam_search` for a few vectors, into views of what it returns."""
    levels, beams = codes.shape[0], codes.shape[2]
    active = torch.arange(len(x), device=x.device)
    rest = x.unsqueeze(1)  # [n, m, D], what each hypothesis leaves over
    cost = rest.new_zeros(rest.shape[:2])
    for k in range(min(levels, rvq.levels - start)):
        goes_on = errors[active, k] > stop_below[active]
        active, rest, cost = active[goes_on], rest[goes_on], cost[goes_on]
        if not len(active):
            return
        quantizer, scale = rvq.level(start + k)
        code_cost = None if code_costs is None else code_costs[start + k]
        each = rd_lambda[active].view(-1, 1)
        code, parent, left = _step(quantizer, rest / scale, beams, code_cost, cost, each / scale**2)
        if code_cost is not None:
            cost = cost.gather(1, parent) + code_cost[code]
        kept = rest.gather(1, parent.unsqueeze(-1).expand(-1, -1, rest.shape[-1]))
        rest = kept - quantizer.decode(code) * scale
        errors[active, k + 1] = left[:, 0].clamp_min(0) * scale**2
        width = code.shape[1]
        codes[k, active, :width], parents[k, active, :width] = code.to(torch.int16), parent.to(torch.uint8)


def _step(
    quantizer: VectorQuantizer,
    rest: Tensor,
    beams: int,
    code_cost: Tensor | None = None,
    cost: Tensor | None = None,
    rd_lambda: Tensor | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """One level: codes, which hypotheses they go on from, and squared errors, each [n, up to `beams`], best first.

    With the costs of the codes [S] and of the hypotheses so far [n, m], and lambda [n, 1], errors are squared error +
    lambda x cost.
    """
    center, table, bias = quantizer.table()
    shifted = rest - center
    # |z - c|^2 = |z|^2 - 2 (z.c - |c|^2 / 2)
    offset = -0.5 * shifted.square().sum(-1)
    if code_cost is not None and cost is not None and rd_lambda is not None:
        # Costs times lambda come with the products: one number more in each vector and in each code.
        offset = offset - 0.5 * cost * rd_lambda
        shifted = torch.cat([shifted, rd_lambda.unsqueeze(1).expand(*shifted.shape[:2], 1)], -1)
        table = torch.cat([table, -0.5 * code_cost.unsqueeze(-1)], -1)
    similarity = stable_linear(shifted, table, bias)  # [n, m, S]
    values, indices = _greatest(similarity, offset, beams)
    size = similarity.shape[-1]
    return indices % size, indices // size, -2 * values


def _greatest(x: Tensor, offset: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The `count` greatest numbers of each x[i] + offset[i], [n, m, s] and [n, m], in order, and where they are.

    As `topk` over the last two axes, but all numbers are only looked at once.
    """
    n, m, size = x.shape
    count = min(count, m * size)
    width = size // GROUP
    if size % GROUP or m * width < 4 * count:
        best = (x + offset.unsqueeze(-1)).flatten(1).topk(count, dim=1)
        return best.values, best.indices
    # They all lie in the groups with the greatest maxima.
    tops = x.view(n, m, GROUP, width).amax(2) + offset.unsqueeze(-1)
    chosen = tops.flatten(1).topk(count, dim=1).indices
    row = torch.div(chosen, width, rounding_mode="floor")
    first = row * size + chosen % width
    indices = (first.unsqueeze(1) + width * torch.arange(GROUP, device=x.device)[:, None]).flatten(1)
    candidates = x.flatten(1).gather(1, indices) + offset.gather(1, row).repeat(1, GROUP)
    best = candidates.topk(count, dim=1)
    return best.values, indices.gather(1, best.indices)
