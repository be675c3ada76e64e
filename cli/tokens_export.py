"""`tokens export`, `push` and `import`: datasets of tokens for other tools, and from them."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .options import Path_, json_option, quiet_option, tell
from .tokens import tokens_group

if TYPE_CHECKING:
    from josiecodec.datasets.clips import Clip

KINDS = ["parquet", "webdataset", "npy", "hub", "jsonl", "lhotse", "nemo"]
N_Q = click.option("--n-q", type=click.IntRange(1), help="Levels to keep.  [default: all]")


def _media_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """--media, --quality and --voice."""
    for option in (
        click.option("--voice", is_flag=True, help="Who speaks, with --media: a column of 256 numbers."),
        click.option("--quality", help="Columns of quality, with --media: any of snr,level,clipped,dnsmos."),
        click.option("--media", type=Path_, help="Folder of the recordings that the dataset was made from."),
    ):
        function = option(function)
    return function


@tokens_group.command("export")
@click.argument("folder", type=Path_)
@click.argument("target", type=Path_)
@click.option("--to", "kind", type=click.Choice(KINDS), required=True)
@N_Q
@_media_options
@quiet_option
@json_option
def export_command(
    folder: Path,
    target: Path,
    kind: str,
    n_q: int | None,
    media: Path | None,
    quality: str | None,
    voice: bool,
    quiet: bool,
    as_json: bool,
) -> None:
    """Write the dataset FOLDER to TARGET, a new folder, in the format of other tools.

    With --media cuts of Lhotse and manifests of NeMo name the recordings where they are.
    """
    from josiecodec.datasets.dataset import TokenDataset
    from josiecodec.datasets.export import export

    known = Known(kind, media, quality, voice)
    count = export(TokenDataset(folder, n_q), target, kind, known, known.columns)
    known.warn()
    entry = {"input": str(folder), "output": str(target), "format": kind, "clips": count}
    tell(entry, f"{folder} -> {target}: {count} clips", as_json, quiet)


@tokens_group.command("push")
@click.argument("folder", type=Path_)
@click.argument("repository", metavar="ORG/NAME")
@N_Q
@_media_options
@click.option("--private", is_flag=True, help="Make a new repository private.")
@quiet_option
@json_option
def push(
    folder: Path,
    repository: str,
    n_q: int | None,
    media: Path | None,
    quality: str | None,
    voice: bool,
    private: bool,
    quiet: bool,
    as_json: bool,
) -> None:
    """Publish the dataset FOLDER on the Hugging Face hub, as `export --to hub` writes it, with a dataset card."""
    import tempfile

    from josiecodec.datasets.dataset import TokenDataset
    from josiecodec.datasets.export import export
    from josiecodec.hub.publish import push_folder

    known = Known("hub", media, quality, voice)
    with tempfile.TemporaryDirectory() as name:
        count = export(TokenDataset(folder, n_q), Path(name) / "dataset", "hub", known, known.columns)
        known.warn()
        address = push_folder(Path(name) / "dataset", repository, "dataset", private)
    entry = {"input": str(folder), "output": address, "clips": count}
    tell(entry, f"{folder} -> {address}: {count} clips", as_json, quiet)


@tokens_group.command("import")
@click.argument("source", type=Path_)
@click.argument("target", type=Path_)
@click.option("--shard-clips", type=click.IntRange(1), default=1000, show_default=True, help="Clips per shard.")
@quiet_option
@json_option
def import_command(source: Path, target: Path, shard_clips: int, quiet: bool, as_json: bool) -> None:
    """Make the dataset TARGET, a new folder, of what `export --to lhotse`, nemo, jsonl or npy wrote to SOURCE.

    Clips may have been left out, joined from several exports or cut since.
    """
    from josiecodec.datasets.importing import import_dataset

    count = import_dataset(source, target, shard_clips)
    entry = {"input": str(source), "output": str(target), "clips": count}
    tell(entry, f"{source} -> {target}: {count} clips", as_json, quiet)


class Known:
    """What the recordings of a dataset add to its clips: where they are, their quality, and who speaks."""

    def __init__(self, kind: str, media: Path | None, quality: str | None, voice: bool = False):
        for option, asked in (("--quality", quality is not None), ("--voice", voice)):
            if asked and media is None:
                raise click.UsageError(f"{option} needs --media, the folder of the recordings")
        if media is not None and not media.is_dir():
            raise click.UsageError(f"--media: {media} is no folder")
        if media is not None and quality is None and not voice and kind not in ("lhotse", "nemo"):
            raise click.UsageError(f"--media says nothing in {kind} without --quality or --voice")
        self.kind, self.media, self.voice = kind, media, voice
        self.measures: list[Any] | None = None
        self.columns: tuple[str, ...] = ()
        if quality is not None:
            from josiecodec.evaluation.clip_quality import chosen_measures, columns

            self.measures = chosen_measures(quality)
            self.columns = columns(self.measures)
        if voice:
            from josiecodec.datasets.export_hub import VOICE

            self.columns += (VOICE,)
        self.failed: list[str] = []
        self._recordings: dict[str, dict[str, Any] | None] = {}

    def __call__(self, clip: Clip) -> dict[str, Any]:
        if self.media is None:
            return {}
        source = str(clip.meta.get("source"))
        found: dict[str, Any] = {}
        if self.kind == "lhotse":
            recording = self._recording(source)
            found |= {} if recording is None else {"recording": recording}
        if self.kind == "nemo":
            found["media"] = str((self.media / source).resolve())
        return found | self._heard(clip) if self.measures is not None or self.voice else found

    def _heard(self, clip: Clip) -> dict[str, Any]:
        """What is measured of a clip's sound."""
        from josiecodec.errors import CodecError
        from josiecodec.evaluation.clip_quality import SAMPLE_RATE, quality
        from josiecodec.tokenization.media_of_clips import clip_wave

        assert self.media is not None
        try:
            wave = clip_wave(clip.meta, self.media, SAMPLE_RATE)
        except CodecError as error:
            self.failed.append(str(error))
            wave = None
        found: dict[str, Any] = {} if self.measures is None else quality(wave, self.measures)
        return found | self._voice(wave, SAMPLE_RATE) if self.voice else found

    def _voice(self, wave: Any, sample_rate: int) -> dict[str, Any]:
        """The voice of a clip; None if there is none to be heard."""
        from josiecodec.datasets.export_hub import VOICE
        from josiecodec.errors import CodecError
        from josiecodec.hearing.voices import speaker_embedding

        try:
            numbers = None if wave is None else speaker_embedding(wave, sample_rate)
        except CodecError:  # silent or too short
            numbers = None
        return {VOICE: None if numbers is None else [round(float(n), 4) for n in numbers]}

    def _recording(self, source: str) -> dict[str, Any] | None:
        from josiecodec.errors import CodecError
        from josiecodec.tokenization.media_of_clips import recording_of

        assert self.media is not None
        if source not in self._recordings:
            self._recordings.clear()  # clips of a file follow each other
            try:
                self._recordings[source] = recording_of(source, self.media)
            except CodecError as error:
                self.failed.append(str(error))
                self._recordings[source] = None
        return self._recordings[source]

    def warn(self) -> None:
        """Say which recordings could not be read."""
        names = list(dict.fromkeys(self.failed))
        if names:
            more = f", and {len(names) - 1} more" if len(names) > 1 else ""
            warnings.warn(f"{names[0]}{more}: nothing is known of these", stacklevel=2)
