"""`eval audio`, `eval vision` and `eval semantic`: figures instead of opinions."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from .options import Path_, common, use_device


@click.group("eval")
def eval_group() -> None:
    """Measure what a model does to recordings and pictures."""


def _levels(text: str, most: int) -> tuple[int, ...]:
    try:
        levels = tuple(int(n) for n in text.split(","))
    except ValueError:
        raise click.BadParameter(f"--n-q takes numbers like 1,9, not {text!r}") from None
    if not all(1 <= n <= most for n in levels):
        raise click.BadParameter(f"levels must be in 1..{most}")
    return levels


@eval_group.command("audio")
@click.argument("folder", type=Path_)
@click.option("--model", default="jodio-24k", show_default=True, help="Name of a model, or its folder.")
@click.option("--n-q", "levels", help="Numbers of levels, like 1,9; default: the model's own.")
@click.option("--most", type=click.IntRange(1), help="Judge at most so many recordings.")
@common
def audio(
    folder: Path, model: str, levels: str | None, most: int | None, device: str, threads: int | None, as_json: bool
) -> None:
    """Encode and decode the recordings in FOLDER; print PESQ, STOI, SI-SDR, mel distance and codebook use.

    With a manifest.tsv in FOLDER each of its segments is judged, else each file.
    """
    from tqdm import tqdm

    import josiecodec
    from josiecodec.metrics.report import means, score_segment
    from josiecodec.training.data import load_recordings

    codec = josiecodec.load(model, use_device(device, threads))
    chosen = _levels(levels, codec.n_q) if levels else (codec.config.default_n_q,)
    recordings = load_recordings(folder, codec.sample_rate)
    rows = []
    for segment in tqdm(recordings.segments[:most], unit="clip", disable=not sys.stderr.isatty()):
        rows += score_segment(codec, recordings.waveform(segment), chosen, path=segment.path, kind=segment.kind)
        if as_json:
            for row in rows[-len(chosen) :]:
                click.echo(json.dumps({k: v for k, v in row.items() if k != "codes"}))
    for line in means(rows, codec.codebook_size):
        if as_json:
            click.echo(json.dumps(line))
        else:
            shown = "  ".join(f"{k} {v:.3f}" if isinstance(v, float) else f"{k} {v}" for k, v in line.items())
            click.echo(shown)


@eval_group.command("vision")
@click.argument("folder", type=Path_)
@click.option("--model", default="jovio-16", show_default=True, help="Name of a model, or its folder.")
@click.option("--n-q", "levels", help="Numbers of levels, the same in every patch, like 1,4,16.")
@click.option("--bpp", "rates", help="Bits per pixel, spread over the patches, like 0.1,0.4.")
@click.option("--most", type=click.IntRange(1), help="Judge at most so many pictures and videos.")
@common
def vision(
    folder: Path,
    model: str,
    levels: str | None,
    rates: str | None,
    most: int | None,
    device: str,
    threads: int | None,
    as_json: bool,
) -> None:
    """Encode and decode the pictures and videos in FOLDER; print PSNR, MS-SSIM and bits per pixel as written."""
    from tqdm import tqdm

    import josiecodec
    from josiecodec.errors import MediaError
    from josiecodec.metrics.vision_report import means, score_clip, score_picture
    from josiecodec.vision.images import IMAGE_SUFFIXES, load_image
    from josiecodec.vision.video import VIDEO_SUFFIXES, load_video

    codec = josiecodec.load(model, use_device(device, threads))
    wanted = [josiecodec.Rate(n_q=n) for n in (_levels(levels, codec.n_q) if levels else ())]
    try:
        wanted += [josiecodec.Rate(bpp=float(r)) for r in (rates.split(",") if rates else ())]
    except ValueError:
        raise click.BadParameter(f"--bpp takes numbers like 0.1,0.4, not {rates!r}") from None
    paths = sorted(p for p in folder.rglob("*") if p.suffix.lower() in IMAGE_SUFFIXES | VIDEO_SUFFIXES)
    if not paths:
        raise MediaError(f"no pictures in {folder}")
    rows = []
    for path in tqdm(paths[:most], unit="file", disable=not sys.stderr.isatty()):
        for rate in wanted or [josiecodec.Rate()]:
            if path.suffix.lower() in IMAGE_SUFFIXES:
                row = score_picture(codec, load_image(path), rate, path=path.name)
            else:
                row = score_clip(codec, *load_video(path), rate, path=path.name)
            rows.append(row)
            if as_json:
                click.echo(json.dumps(row))
    for line in means(rows):
        shown = "  ".join(f"{k} {v:.3f}" if isinstance(v, float) else f"{k} {v}" for k, v in line.items())
        click.echo(json.dumps(line) if as_json else shown)


@eval_group.command("semantic")
@click.argument("folder", type=Path_)
@click.option("--train", type=Path_, required=True, help="Folder of recordings that the probe may learn from.")
@click.option("--model", default="jodio-24k", show_default=True, help="Name of a model, or its folder.")
@click.option("--phones", type=Path_, required=True, help="Labels of FOLDER, by `train phones`.")
@click.option("--train-phones", type=Path_, required=True, help="Labels of --train.")
@common
def semantic(
    folder: Path,
    train: Path,
    model: str,
    phones: Path,
    train_phones: Path,
    device: str,
    threads: int | None,
    as_json: bool,
) -> None:
    """Ask how well single codes of each level tell the phone being spoken, in voices never heard."""
    import josiecodec
    from josiecodec.training.data import load_recordings
    from josiecodec.training.phones import load_phones
    from josiecodec.training.probe import probe_levels

    codec = josiecodec.load(model, use_device(device, threads))
    learn, judge = load_recordings(train, codec.sample_rate), load_recordings(folder, codec.sample_rate)
    result = probe_levels(codec, (learn, load_phones(train_phones, learn)), (judge, load_phones(phones, judge)))
    if as_json:
        click.echo(json.dumps(result))
        return
    for name, value in result.items():
        click.echo(f"{name}: {value:.4f}")
