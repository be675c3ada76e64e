"""Beam search for the codes of a residual stack: at every level several sums are kept, not the nearest code alone.

The nearest code of one level need not leave what the next levels can code best. Keeping the M best sums so far finds
better ones (Chan, Gupta and Gersho 1992 on tree-searched multistage vector quantizers); decoders need not know.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..nn.linear import exporting, stable_linear
from .rvq import ResidualVectorQuantizer
from .vq import VectorQuantizer

AT_ONCE = 128  # vectors compared with all codes together: what they give has to fit the processor's cache
GROUP = 16


@dataclass
class Found:
    """What a search found for N vectors and L levels, M sums being kept.

    Attributes:
        errors: [N, L + 1], squared error of the best sum of 0, 1, ... levels; infinite where the search had stopped.
        codes: int16 [L, N, M], last code of each sum, the best sum first.
        parents: uint8 [L, N, M], which sum of the level before it goes on from.
    """

    errors: Tensor
    codes: Tensor
    parents: Tensor

    @staticmethod
    def nothing(x: Tensor, levels: int, beams: int) -> Found:
        """Of vectors [N, D], before any search."""
        errors = torch.full((len(x), levels + 1), float("inf"), device=x.device)
        errors[:, 0] = x.square().sum(-1)
        codes = torch.zeros(levels, len(x), beams, dtype=torch.int16, device=x.device)
        return Found(errors, codes, torch.zeros_like(codes, dtype=torch.uint8))

    def path(self, counts: Tensor) -> Tensor:
        """Codes of the best sum of `counts` levels [N]: int64 [N, L], zeros behind the last one."""
        out = torch.zeros(len(counts), len(self.codes), dtype=torch.long, device=counts.device)
        beam = torch.zeros(len(counts), 1, dtype=torch.long, device=counts.device)
        for k in range(int(counts.max()) - 1 if len(counts) else -1, -1, -1):
            inside = counts > k
            code = self.codes[k].gather(1, beam)[:, 0].long() & 0xFFFF
            out[:, k] = torch.where(inside, code, out[:, k])
            beam = torch.where(inside[:, None], self.parents[k].gather(1, beam).long(), beam)
        return out

    def put(self, where: Tensor, other: Found) -> None:
        """Take over what another search found for the vectors `where`."""
        levels = len(other.codes)
        self.errors[where, : levels + 1] = other.errors
        self.codes[:levels, where], self.parents[:levels, where] = other.codes, other.parents


def encode(rvq: ResidualVectorQuantizer, x: Tensor, levels: int, beams: int) -> Tensor:
    """[B, T, dim] -> codes [B, T, levels]; the nearest ones where codebooks do not compare vectors as they are."""
    levels = min(levels, rvq.levels)
    if beams == 1 or not levels or not rvq.compares_plainly:
        return rvq.encode(x, levels)
    z = rvq.enter(x)
    flat = z.reshape(-1, z.shape[-1])
    parts = (flat,) if exporting() else flat.split(AT_ONCE)
    return torch.cat([_all_levels(rvq, part, levels, beams) for part in parts]).view(*z.shape[:2], levels)


def _all_levels(rvq: ResidualVectorQuantizer, x: Tensor, levels: int, beams: int) -> Tensor:
    """Codes [n, levels] of the best sums for vectors [n, D]; no step depends on what came out before."""
    rest = x.unsqueeze(1)  # [n, m, D], what each sum leaves over
    sums: list[Tensor] = []  # the code of each level so far in each sum, [n, m]
    for k in range(levels):
        quantizer, scale = rvq.level(k)
        code, parent, _ = _step(quantizer, rest / scale, beams)
        rest = rest.gather(1, parent.unsqueeze(-1).expand(-1, -1, rest.shape[-1])) - quantizer.decode(code) * scale
        sums = [*(codes.gather(1, parent) for codes in sums), code]
    return torch.stack([codes[:, 0] for codes in sums], -1)


@torch.no_grad()
def search(
    rvq: ResidualVectorQuantizer,
    x: Tensor,
    levels: int,
    beams: int,
    start: int = 0,
    enough: float | Tensor = -1.0,
    prices: Sequence[Tensor] | None = None,
    worth: Tensor | None = None,
) -> Found:
    """Search codes for vectors [N, D] of the stack's own space.

    Args:
        rvq: the stack; its codebooks must compare vectors as they are.
        x: the vectors.
        levels: of codes wanted, from level `start` on; as many as there are.
        beams: sums that are kept.
        start: the first level.
        enough: squared error [N] below which a vector needs no further levels.
        prices: of the codes of each level of the stack [S]. Sums are then compared, and their `errors` given, with
            what their codes cost: of two codes as good the cheaper one is taken.
        worth: squared error that a price of 1 is worth for each vector [N]; 1 if it is not given.
    """
    found = Found.nothing(x, levels, beams)
    for first in range(0, len(x), AT_ONCE):
        part = slice(first, first + AT_ONCE)
        limit = enough[part] if isinstance(enough, Tensor) else torch.full_like(found.errors[part, 0], enough)
        views = found.errors[part], found.codes[:, part], found.parents[:, part]
        each = torch.ones_like(found.errors[part, 0]) if worth is None else worth[part]
        _search(rvq, x[part], start, limit, prices, each, *views)
    return found


def _search(
    rvq: ResidualVectorQuantizer,
    x: Tensor,
    start: int,
    enough: Tensor,
    prices: Sequence[Tensor] | None,
    worth: Tensor,
    errors: Tensor,
    codes: Tensor,
    parents: Tensor,
) -> None:
    """`search` for a few vectors, into views of what it returns."""
    levels, beams = codes.shape[0], codes.shape[2]
    open_ = torch.arange(len(x), device=x.device)
    rest = x.unsqueeze(1)  # [n, m, D], what each sum leaves over
    paid = rest.new_zeros(rest.shape[:2])
    for k in range(min(levels, rvq.levels - start)):
        going = errors[open_, k] > enough[open_]
        open_, rest, paid = open_[going], rest[going], paid[going]
        if not len(open_):
            return
        quantizer, scale = rvq.level(start + k)
        price = None if prices is None else prices[start + k]
        each = worth[open_].view(-1, 1)
        code, parent, left = _step(quantizer, rest / scale, beams, price, paid, each / scale**2)
        if price is not None:
            paid = paid.gather(1, parent) + price[code]
        kept = rest.gather(1, parent.unsqueeze(-1).expand(-1, -1, rest.shape[-1]))
        rest = kept - quantizer.decode(code) * scale
        errors[open_, k + 1] = left[:, 0].clamp_min(0) * scale**2
        width = code.shape[1]
        codes[k, open_, :width], parents[k, open_, :width] = code.to(torch.int16), parent.to(torch.uint8)


def _step(
    quantizer: VectorQuantizer,
    rest: Tensor,
    beams: int,
    price: Tensor | None = None,
    paid: Tensor | None = None,
    worth: Tensor | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """One level: codes, which sums they go on from, and squared errors, each [n, up to `beams`], best first.

    With prices [S], what the sums cost so far [n, m], and what a price of 1 is worth [n, 1], these are part of the
    errors.
    """
    center, table, bias = quantizer.table()
    shifted = rest - center
    # |z - c|^2 = |z|^2 - 2 (z.c - |c|^2 / 2)
    offset = -0.5 * shifted.square().sum(-1)
    if price is not None and paid is not None and worth is not None:
        # Prices times worth come with the products: one number more in each vector and in each code.
        offset = offset - 0.5 * paid * worth
        shifted = torch.cat([shifted, worth.unsqueeze(1).expand(*shifted.shape[:2], 1)], -1)
        table = torch.cat([table, -0.5 * price.unsqueeze(-1)], -1)
    likeness = stable_linear(shifted, table, bias)  # [n, m, S]
    values, places = _greatest(likeness, offset, beams)
    size = likeness.shape[-1]
    return places % size, places // size, -2 * values


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
    places = (first.unsqueeze(1) + width * torch.arange(GROUP, device=x.device)[:, None]).flatten(1)
    found = x.flatten(1).gather(1, places) + offset.gather(1, row).repeat(1, GROUP)
    best = found.topk(count, dim=1)
    return best.values, places.gather(1, best.indices)
