"""A codec of still pictures without torch, as files meet it (`coding/picture_network.py`)."""

from __future__ import annotations

import itertools
from functools import cached_property
from pathlib import Path

import numpy as np

from ..bitstream.model_tables import read_once
from ..bitstream.patch_payload import PatchRows
from ..coding.detail_decoder import drawn
from ..coding.preview import pooled
from ..coding.vision_identity import VisionStreams
from ..entropy.code_tables import EntropyTables
from ..entropy.tables_file import Tables, read_tables
from ..errors import ModelError
from ..media.pixels import as_floats
from ..settings import EncoderSettings, checked_levels
from ..shipped import fingerprint_of
from ..vision.block_arrays import coefficients_of, picture_of
from ..vision.block_shapes import from_shapes
from ..vision.config import ConvConfig, DetailConfig
from ..vision.dependent_steps import HALF
from ..vision.detail_network import LATENT, DetailNetwork
from ..vision.detail_shapes import CODING, SHRINK, filter_graph, filter_margin, passes_of, shapes_of
from ..vision.detail_steps import DetailSteps
from ..vision.rows_ahead import RowsAhead
from ..vision.tiling import tiled
from ..vision.window_weights import window_weights
from ..weight_files import WEIGHTS, tables_file
from .graphs import Graph
from .model_files import Weights, vision_config, weights_of
from .residual_search import Stack
from .row_encoder import RowEncoder

# Patches down and across. Larger tiles have less around them that is computed twice, but do not fit into caches.
COARSE_TILE = 96, 104  # of what looks far
FINE_TILE = 48, 24  # of what does not
RETURNED = 4096  # patches of a piece of a large picture, whose memory does not stay in the arena
RESIDUAL_SCALE = np.float32(8)


class Detail:
    """The whole numbers of a detail layer.

    Args:
        config: of the layer.
        latent_dim, patch: of the codec.
        weights: of the model.
    """

    def __init__(self, config: DetailConfig, latent_dim: int, patch: int, weights: Weights):
        self.config, self._weights = config, weights
        self.passes = passes_of(config.splits)
        self._names = list(shapes_of(config, latent_dim, patch))
        self.margin = filter_margin(config)

    def numbers(self, name: str) -> np.ndarray:
        """A tensor, by the name that `DetailNetwork` has for it."""
        return self._weights[f"detail.{name.replace('.', '_')}"]

    def network(self) -> DetailNetwork:
        """See `DetailLayer`."""
        tensors = {name: self.numbers(name) for name in self._names if name not in CODING}
        return DetailNetwork(tensors, self.passes, self.config.blocks)


class PictureCodec(VisionStreams):
    """A trained model of still pictures.

    Args:
        folder: of the model; `choose.picture_reason` says whether it can be run.
        threads: of the CPU; None for as many as there are.

    Raises:
        ModelError: if its files cannot be read, or its networks are others than the graphs'.
    """

    kind = "vision"
    is_convolutional = True

    def __init__(self, folder: Path, threads: int | None = None):
        config = vision_config(folder)
        if config is None:
            raise ModelError(f"{folder}: no model of pictures that runs without torch")
        assert isinstance(config.encoder, ConvConfig)
        assert isinstance(config.decoder, ConvConfig)
        self.config, self.folder, self.threads = config, folder, threads
        self.settings: EncoderSettings = config.encoding
        self.weights = weights_of(folder)
        self.n_q, self.patch, self.codebook_size = config.n_q, config.patch, config.quantizer.codebook_size
        self.stack = Stack(config.quantizer, self.weights)
        self.detail: Detail | None = None
        if config.detail is not None:
            self.detail = Detail(config.detail, config.latent_dim, config.patch, self.weights)
        self._graphs: dict[str, Graph] = {}
        self._reach = tuple(_reach(part, config.patch) for part in (config.encoder, config.decoder))

    @cached_property
    def tables(self) -> EntropyTables | None:
        """Read when they are needed; of a model of the package once."""
        path = tables_file(self.folder)
        if not path.is_file():
            return None
        return read_once(path) if path.parent.parent == WEIGHTS else read_tables(path)

    @cached_property
    def fingerprint(self) -> str:
        """sha256 (hex) of configuration and weights."""
        return fingerprint_of(self.folder)

    @property
    def known_tables(self) -> Tables:
        """Its entropy tables by its fingerprint."""
        return {} if self.tables is None else {self.fingerprint: self.tables}

    def levels(self, n_q: int | None, settings: EncoderSettings | None = None) -> int:
        """See `CodecNetwork`."""
        return checked_levels(n_q, settings or self.settings, self.n_q)

    def picture_network(self) -> PictureCodec:
        """Itself."""
        return self

    def still_latent(self, picture: np.ndarray) -> np.ndarray:
        """See `PictureNetwork`."""
        graph = self._graph("picture_encoder")

        def run(x: np.ndarray) -> np.ndarray:
            return graph({"pixels": np.ascontiguousarray(as_floats(x))}, {})[0]["latent"].transpose(0, 3, 1, 2)

        return tiled(run, (picture,), (self.patch,), 1, sum(self._reach[0])).transpose(0, 2, 3, 1)[0]

    def rows_encoder(self, settings: EncoderSettings, tables: EntropyTables | None, max_levels: int) -> RowEncoder:
        """See `PictureNetwork`."""
        return RowEncoder(self.stack, settings, tables, max_levels, self.codebook_size)

    def base(self, rows: PatchRows) -> np.ndarray:
        """See `DecodingNetwork`."""
        latent, counts = self._latent(rows), rows.counts[None].astype(np.int64)
        return planes(self.pixels(latent, self.hidden(latent, counts)))

    def grid(self, height: int, width: int) -> tuple[int, int]:
        """Rows and columns of patches of a picture."""
        return -(-height // self.patch), -(-width // self.patch)

    def key_picture(self, rows: PatchRows, height: int, width: int, base: np.ndarray | None = None) -> np.ndarray:
        """See `KeyNetwork`."""
        if rows.details:
            return drawn(self, rows, base)[0, :, :height, :width]
        return self.base(rows)[0, :, :height, :width].clip(0, 1)

    def base_rows(self, rows: PatchRows) -> PictureRows:
        """See `DecodingNetwork`."""
        return PictureRows(self, self._latent(rows), rows.counts[None].astype(np.int64))

    def small_base(self, rows: PatchRows, factor: int) -> np.ndarray:
        """See `DecodingNetwork`."""
        still = self.base_rows(rows)
        height = len(rows.counts)
        parts = [still.rows(k, min(k + BAND, height)).clip(0, 1) for k in range(0, height, BAND)]
        return np.concatenate([pooled(part, factor) for part in parts], 2)

    @property
    def margins(self) -> tuple[int, int]:
        """Patches that the coarse and the fine half of the decoder look beyond each patch."""
        return self._reach[1]

    def hidden(self, latent: np.ndarray, counts: np.ndarray) -> np.ndarray:
        """Latents [1, h, w, D] and levels [1, h, w] -> the fine grid by patches, [1, h, w, 16 C]."""
        graph, large = self._graph("picture_hidden"), latent.shape[1] * latent.shape[2] > RETURNED

        def run(z: np.ndarray, levels: np.ndarray) -> np.ndarray:
            inputs = {"latent": np.ascontiguousarray(z), "levels": np.ascontiguousarray(levels[..., 0])}
            return graph(inputs, {}, returns_memory=large)[0]["hidden"]

        inputs = (latent, counts[..., None])
        found: np.ndarray = tiled(run, inputs, (1, 1), 1, self.margins[0], COARSE_TILE, channels_last=True)
        return found

    def pixels(self, latent: np.ndarray, hidden: np.ndarray) -> np.ndarray:
        """Latents and what `hidden` gave -> pixels [1, 16 h, 16 w, 3]."""
        graph, decoder = self._graph("picture_fine"), self.config.decoder
        assert isinstance(decoder, ConvConfig)
        weight = self.weights["decoder.linear.weight"].astype(np.float32).T
        bias = self.weights["decoder.linear.bias"].astype(np.float32) + np.float32(0.5)

        def run(z: np.ndarray, y: np.ndarray) -> np.ndarray:
            fine = unmerge(y, self.patch // decoder.fine)
            change = unmerge(graph({"fine": fine}, {})[0]["change"], decoder.fine)[..., :3]
            whole = unmerge(z, self.patch)
            whole += change
            return whole

        inputs = (latent @ weight + bias, hidden)  # the product not in tiles, whose size its rounding depends on
        found: np.ndarray = tiled(run, inputs, (1, 1), self.patch, self.margins[1], FINE_TILE, channels_last=True)
        return found

    def whole_latents(self, rows: PatchRows) -> np.ndarray:
        """See `DecodingNetwork`."""
        return self.stack.sums(_codes(rows), LATENT).astype(np.int64).reshape(*rows.counts.shape, -1)

    def residual(self, symbols: np.ndarray, steps: DetailSteps, shapes: np.ndarray | None = None) -> np.ndarray:
        """See `DecodingNetwork`."""
        assert self.detail is not None
        values = symbols.astype(np.float32)
        shrunk = values / np.float32(1 if self.detail.config.states == 1 else HALF) - np.float32(SHRINK) * np.sign(
            values
        )
        sized = shrunk * (steps.sizes() / 255).astype(np.float32)
        return picture_of(sized if shapes is None else from_shapes(sized, shapes))[None]

    def smoothed(self, base: np.ndarray, residual: np.ndarray, steps: DetailSteps) -> np.ndarray:
        """See `DecodingNetwork`."""
        assert self.detail is not None
        graph, fine = self._graph(filter_graph(self.detail.config)), self.detail.config.fine
        known = self.weights["detail.step_embedding.weight"][steps.known].astype(np.float32)
        if self.detail.config.strengths > 1:
            known = known + self.weights["detail.strength_embedding.weight"][steps.strength].astype(np.float32)

        def run(b: np.ndarray, r: np.ndarray) -> np.ndarray:
            parts = (b - np.float32(0.5), r * RESIDUAL_SCALE)
            merged = np.concatenate([merge(part.transpose(0, 2, 3, 1), fine) for part in parts], -1)
            change = unmerge(graph({"merged": merged, "known": known}, {})[0]["change"], fine)
            return b + r + change.transpose(0, 3, 1, 2)

        found: np.ndarray = tiled(run, (base, residual), (self.patch,) * 2, self.patch, self.detail.margin)
        return found

    def coefficients(self, pixels: np.ndarray) -> np.ndarray:
        """See `PictureNetwork`."""
        return coefficients_of(pixels[0])

    def window_weights(self, picture: np.ndarray) -> np.ndarray:
        """See `PictureNetwork`."""
        return window_weights(picture[0])

    def _latent(self, rows: PatchRows) -> np.ndarray:
        """Quantized latents [1, h, w, D]."""
        return self.stack.sums(_codes(rows)).reshape(1, *rows.counts.shape, -1)

    def _graph(self, name: str) -> Graph:
        if name not in self._graphs:
            self._graphs[name] = Graph(name, self.weights, self.threads, one_arena=True)
        return self._graphs[name]


BAND, STRIP = 48, 96  # rows of patches that are drawn together, and columns, at most


class PictureRows:
    """The decoded base of a large picture, see `StillRows`.

    Args:
        codec: the model.
        latent: quantized latents [1, h, w, D].
        counts: levels of each patch [1, h, w].
    """

    def __init__(self, codec: PictureCodec, latent: np.ndarray, counts: np.ndarray):
        self.codec, self.latent, self.counts = codec, latent, counts
        self.height, width = latent.shape[1:3]
        self.strips = np.linspace(0, width, 1 + -(-width // STRIP)).round().astype(int).tolist()
        self._pixels = RowsAhead(self._drawn, self.height, BAND, 2, codec.patch)
        self._near: dict[int, tuple[int, np.ndarray]] = {}  # of strips, what lies above what comes next

    def rows(self, first: int, last: int) -> np.ndarray:
        """See `BaseRows`."""
        return self._pixels.rows(first, last)

    def _drawn(self, first: int, last: int) -> np.ndarray:
        patch = self.codec.patch
        out = np.empty((1, 3, (last - first) * patch, self.strips[-1] * patch), np.float32)
        for left, right in itertools.pairwise(self.strips):
            out[..., left * patch : right * patch] = self._strip(first, last, left, right).transpose(0, 3, 1, 2)
        return out

    def _strip(self, first: int, last: int, left: int, right: int) -> np.ndarray:
        """Pixels [1, H, W, 3] of some columns of patches."""
        near, patch = self.codec.margins[1], self.codec.patch
        top, bottom = max(0, first - near), min(self.height, last + near)
        west, east = max(0, left - near), min(self.strips[-1], right + near)
        above = self._near.pop(left, None)
        if above is None or not above[0] <= top <= above[0] + above[1].shape[1] <= bottom:
            hidden = self._hidden(top, bottom, west, east)
        else:
            known = above[1][:, top - above[0] :]
            hidden = np.concatenate([known, self._hidden(top + known.shape[1], bottom, west, east)], 1)
        found = self.codec.pixels(self.latent[:, top:bottom, west:east], hidden)
        tail = max(top, bottom - 2 * near)
        self._near[left] = tail, hidden[:, tail - top :].copy()
        rows, columns = ((a - b) * patch for a, b in ((first, top), (left, west)))
        return found[:, rows : rows + (last - first) * patch, columns : columns + (right - left) * patch]

    def _hidden(self, first: int, last: int, left: int, right: int) -> np.ndarray:
        """The fine grid of a rectangle of patches."""
        far = self.codec.margins[0]
        top, bottom = max(0, first - far), min(self.height, last + far)
        west, east = max(0, left - far), min(self.strips[-1], right + far)
        found = self.codec.hidden(self.latent[:, top:bottom, west:east], self.counts[:, top:bottom, west:east])
        return found[:, first - top : last - top, left - west : right - west]


def planes(x: np.ndarray) -> np.ndarray:
    """[B, H, W, C] -> [B, C, H, W]."""
    return np.ascontiguousarray(x.transpose(0, 3, 1, 2))


def _codes(rows: PatchRows) -> np.ndarray:
    """Codes of patches [N, K], -1 where a patch has no further level."""
    counts = rows.counts.reshape(-1).astype(np.int64)
    codes = np.full((len(counts), int(counts.max(initial=0))), -1, np.int64)
    codes[np.arange(codes.shape[1]) < counts[:, None]] = rows.codes
    return codes


def _reach(config: ConvConfig, patch: int) -> tuple[int, int]:
    """Patches that the coarse and the fine half of a network look beyond each patch."""
    fine = config.fine_blocks * (config.fine_kernel // 2) * config.fine
    return config.blocks * (config.kernel // 2), -(-fine // patch)


def merge(x: np.ndarray, factor: int) -> np.ndarray:
    """Squares of factor x factor places become one: [B, H, W, C] -> [B, H/f, W/f, f*f*C]."""
    b, h, w, c = x.shape
    x = x.reshape(b, h // factor, factor, w // factor, factor, c)
    return x.transpose(0, 1, 3, 2, 4, 5).reshape(b, h // factor, w // factor, factor * factor * c)


def unmerge(x: np.ndarray, factor: int) -> np.ndarray:
    """The inverse of `merge`: [B, H, W, f*f*C] -> [B, H*f, W*f, C]."""
    b, h, w, c = x.shape
    x = x.reshape(b, h, w, factor, factor, c // factor**2)
    return x.transpose(0, 1, 3, 2, 4, 5).reshape(b, h * factor, w * factor, c // factor**2)
