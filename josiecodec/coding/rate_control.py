"""From latents to rows of patches at a wanted rate, with torch; `rate_search.py` finds the lambda."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ..entropy.code_tables import EntropyTables
from ..settings import EncoderSettings
from ..vision.network import JovioNetwork
from .rate_search import RateSearch
from .rdo import IntraSearch, apply_choice, choose_modes, mode_costs, search_intra
from .reconstruct import Group


class RowEncoder(RateSearch[Group]):
    """Codes frame groups one after the other, each with the one before as the reference of its predictions.

    Args:
        network: the model.
        settings: of the encoder.
        tables: entropy tables that the rows will be written with, if the model has any.
        max_levels: levels that a patch may have.
        predict: whether to try predictions from the group before.
    """

    def __init__(
        self,
        network: JovioNetwork,
        settings: EncoderSettings,
        tables: EntropyTables | None,
        max_levels: int,
        predict: bool = True,
    ):
        super().__init__(settings, tables, max_levels, network.codebook_size)
        self.network, self.predict = network, predict
        self.reference: Group | None = None

    def uniform(self, latents: Sequence[Tensor], n_q: int) -> list[Group]:
        """Code groups [h, w, D] with `n_q` levels in every patch."""
        groups = []
        for latent in latents:
            own = self._intra(latent, n_q, -1.0, self.settings.beams)
            costs = mode_costs(self.network, latent, None, own)
            counts = torch.full((latent.shape[0] * latent.shape[1],), n_q, device=latent.device)
            choice = (torch.zeros_like(counts), counts)
            groups.append(apply_choice(self.network, costs, choice, _shape(latent), None))
        return self.remember(groups)

    def _intra(self, latent: Tensor, max_levels: int, min_lambda: float, beams: int) -> IntraSearch:
        return search_intra(
            self.network,
            latent,
            max_levels,
            min_lambda,
            beams=beams,
            masking=self.settings.masking,
            tables=self.tables,
        )

    def run(
        self, latents: Sequence[Tensor], rd_lambda: float, cache: dict[int, IntraSearch] | None, beams: int
    ) -> list[Group]:
        """Code groups at a lambda; `cache` keeps what does not depend on the group before."""
        reference, groups = self.reference, []
        for index, latent in enumerate(latents):
            own = self.searched(cache, index, latent, rd_lambda, beams)
            predicted_from = reference.latent if reference is not None and self.predict else None
            costs = mode_costs(self.network, latent, predicted_from, own, rd_lambda, self.tables)
            choice = choose_modes(self.network, costs, rd_lambda)
            reference = apply_choice(self.network, costs, choice, _shape(latent), reference)
            groups.append(reference)
        return groups

    def remember(self, groups: list[Group]) -> list[Group]:
        """See `RateSearch`: the last group is the reference of what follows."""
        self.reference = groups[-1] if groups else self.reference
        return groups


def _shape(latent: Tensor) -> tuple[int, int]:
    return latent.shape[0], latent.shape[1]
