"""What still pictures with a detail layer are encoded with."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ..entropy.code_tables import EntropyTables
from ..settings import EncoderSettings
from ..vision.detail_steps import DetailSteps, step_size
from .detail import DetailCoder
from .effort import EFFORTS, PictureEffort
from .picture_network import PictureNetwork, RowCoder
from .result import Progress, no_progress

BIT_PRICE = 0.125  # of a bit of the detail, in units of the step squared
DEPENDENT_PRICE = 0.105  # the same with dependent quantization
BASE_LAMBDA = 0.036  # of a base with detail, whatever the step


def usual_price(dependent: bool) -> float:
    """Of a bit of the detail, in units of the step squared, with dependent quantization or without."""
    return DEPENDENT_PRICE if dependent else BIT_PRICE


@dataclass(frozen=True)
class Fineness:
    """How finely the detail is coded.

    Attributes:
        step: index of the step.
        bit_price: of a bit, in units of the step squared.
    """

    step: int
    bit_price: float = BIT_PRICE

    @property
    def rd_lambda(self) -> float:
        """Lambda of the detail, of a squared error in units of 8-bit pixels."""
        return self.bit_price * step_size(self.step) ** 2


@dataclass(frozen=True)
class Tuning:
    """What the detail is tuned for.

    Attributes:
        strength: of the quantization matrix, if the layer knows so many.
        weighting: power of the weight that an error has in structural similarity, which bits are cheaper by.
        masking: of the base, at least, see `EncoderSettings`.
    """

    strength: int
    weighting: float
    masking: float


TUNINGS = {"psnr": Tuning(1, 0.2, 0.0), "ssim": Tuning(4, 0.4, 0.5)}


@dataclass(frozen=True)
class Tools:
    """What pictures are encoded with.

    Attributes:
        network: a model with a detail layer.
        settings: of the encoder.
        tables: entropy tables that the file will be written with.
        coder: of the model's detail layer.
        tuning: what the detail is tuned for.
        progress: is told the share that is done, now and then.
    """

    network: PictureNetwork
    settings: EncoderSettings
    tables: EntropyTables | None
    coder: DetailCoder
    tuning: Tuning
    progress: Progress = no_progress

    @staticmethod
    def of(
        network: PictureNetwork, settings: EncoderSettings, tables: EntropyTables | None, grey: bool = False
    ) -> Tools:
        """Those of a model with a detail layer."""
        assert network.detail is not None
        tuning = TUNINGS[settings.tune]
        settings = replace(settings, masking=max(settings.masking, tuning.masking))
        return Tools(network, settings, tables, DetailCoder(network.detail, grey), tuning)

    def steps(self, index: int) -> DetailSteps:
        """The steps with an index."""
        return DetailSteps(index, min(self.tuning.strength, self.coder.strengths - 1))

    def fineness(self, step: int, dearer: float = 1.0) -> Fineness:
        """A step, with the usual price of a bit times `dearer`."""
        return Fineness(step, dearer * usual_price(self.coder.dependent))

    @property
    def effort(self) -> PictureEffort:
        """How much is tried."""
        return EFFORTS[self.settings.effort]

    @property
    def beams(self) -> int:
        """Hypotheses of the search for codes."""
        least, most = self.effort.beams
        return min(max(self.settings.beams, least), most)

    def rows_encoder(self) -> RowCoder:
        """What codes bases."""
        return self.network.rows_encoder(self.settings, self.tables, self.network.n_q)
