"""`eval audio`, `eval vision`, `eval codes` and `eval semantic`: objective evaluation."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from .entry import Suggesting
from .options import Path_, common, given_tables, track_option, use_device
from .progress import Progress


@click.group("eval", cls=Suggesting)
def eval_group() -> None:
    """Measure rate and quality of models and other codecs."""


def comparison(function: Callable[..., Any]) -> Callable[..., Any]:
    """Options of `eval audio` and `eval vision`."""
    for option in (
        click.option(
            "--codecs", help="Other codecs to compare with, like opus@6+12,codec2 or jpeg,avif; see the README."
        ),
        click.option("--max-files", type=click.IntRange(1), help="Use at most this many files, evenly spaced."),
        click.option("--workers", type=click.IntRange(1), default=1, show_default=True, help="Scoring processes."),
        click.option(
            "--out", type=Path_, help="Folder for tables and decoded files; a run that was stopped resumes there."
        ),
        click.option("--html", type=Path_, help="Folder for a page with plots, players and images."),
        click.option(
            "--bd-rate", "anchor", metavar="CODEC", help="Also print the BD-rate of all others against this codec."
        ),
    ):
        function = option(function)
    return function


def _numbers(text: str, option: str, kind: Callable[[str], Any]) -> list[Any]:
    try:
        return [kind(n) for n in text.split(",")]
    except ValueError:
        raise click.BadParameter(f"{option} takes numbers like 1,9, not {text!r}") from None


def _compare(kinds: tuple[str, ...], names: list[str], items: list[Any], **given: Any) -> int:
    """Run a comparison, print its means, and write tables and page.

    Returns 2 if a codec failed on every file, or was left out.
    """
    import tempfile

    from josiecodec.evaluation import table
    from josiecodec.evaluation.bd_rates import bd_rates, check_anchor, format_bd_rates
    from josiecodec.evaluation.codecs import expand
    from josiecodec.evaluation.listening_test import check_folder, write_listening_test
    from josiecodec.evaluation.page import write_page
    from josiecodec.evaluation.provenance import provenance
    from josiecodec.evaluation.requirements import check_codecs, check_packages
    from josiecodec.evaluation.run import compare

    if given["codecs"]:
        names = list(dict.fromkeys([*names, *expand(given["codecs"], kinds)]))
    check_packages(names, kinds, given.get("wer", False))
    check_codecs(names, kinds)
    if given.get("listening"):
        check_folder(given["listening"], names, given["listening_kind"])
    if given["anchor"]:
        check_anchor(given["anchor"], names)
    if given.get("wer", False):
        left = sum(not item.may_be_english_speech for item in items)
        if left:
            click.echo(
                f"note: --wer hears English speech: {left} of {len(items)} recordings are something else", err=True
            )
    use_device(given["device"], None)
    with tempfile.TemporaryDirectory() as temporary:
        left_out: list[str] = []
        folder = given["out"] or Path(temporary)
        with Progress(len(names) * len(items), "file") as bar:

            def report(text: str) -> None:
                left_out.append(text)
                bar.say(text, error=True)

            rows = compare(
                names,
                kinds,
                items,
                folder,
                device=given["device"],
                threads=given["threads"] or 1,
                workers=given["workers"],
                wer=given.get("wer", False),
                whisper=given.get("whisper", ""),
                judges=given.get("judges", ()),
                progress=bar.update,
                report=report,
            )
        lines = table.means(rows)
        deltas = bd_rates(rows, given["anchor"]) if given["anchor"] else []
        for line in [*rows, *lines, *deltas] if given["as_json"] else ():
            click.echo(json.dumps(line))
        if not given["as_json"]:
            click.echo("\n\n".join(filter(None, (table.format_table(lines), format_bd_rates(deltas)))))
        for text in table.problems(rows):
            click.echo(f"note: {text}", err=True)
        if given["out"]:
            table.write(given["out"], rows, lines, bd_rates=deltas, about=dict(provenance(names)))
        if given["html"]:
            write_page(given["html"], items, rows, lines)
        if given.get("listening"):
            write_listening_test(given["listening"], items, rows, given["listening_kind"], given["seed"])
    return 0 if all(line["files"] for line in lines) and not left_out else 2


def _judges(whisper: str, judges: str | None) -> tuple[str, ...]:
    """Names of judges, all of which can be used here; tells of those that cannot."""
    from josiecodec.evaluation.judges import chosen, left_out
    from josiecodec.evaluation.whisper_words import check

    if whisper:
        check(whisper)
    for text in left_out(judges) if judges else ():
        click.echo(f"note: {text}", err=True)
    return tuple(chosen(judges)) if judges else ()


@eval_group.command("audio")
@click.argument("folder", type=Path_)
@click.option("--model", default="jodio-24k-v4", show_default=True, help="Name of a model, or its folder.")
@click.option("--n-q", "levels", help="Numbers of levels, like 1,9.  [default: the model's]")
@click.option("--kbps", "rates", help="Rates of whole files in kbit/s, like 1.2,2.4.")
@click.option("--wer", is_flag=True, help="Also compute the word error rate of a speech recogniser (English).")
@click.option(
    "--whisper",
    metavar="MODEL",
    default="",
    help="Word error rates by this Whisper model (faster-whisper), like base or a folder.",
)
@click.option("--judges", metavar="NAMES", help="Further judges, like visqol,dnsmos,voice,f0; or all.")
@click.option("--listening-test", "listening", type=Path_, help="New folder for a listening test of what is decoded.")
@click.option(
    "--listening-kind",
    type=click.Choice(["mushra", "abx", "ab"]),
    default="mushra",
    show_default=True,
    help="Kind of the listening test.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Of names and orders of the listening test.")
@track_option
@comparison
@common
def audio(
    folder: Path,
    model: str,
    levels: str | None,
    rates: str | None,
    audio_track: int | None,
    whisper: str,
    judges: str | None,
    **given: Any,
) -> int:
    """Encode and decode the recordings in FOLDER; print bitrates, PESQ, STOI, SI-SDR, mel distance and times.

    With a manifest.tsv in FOLDER each of its segments is used, else each file. Means have 95 % intervals.
    """
    from josiecodec.evaluation.codecs import AUDIO
    from josiecodec.evaluation.items import find_audio

    names = [f"{model}@{n}" for n in (_numbers(levels, "--n-q", int) if levels else [])]
    names += [f"{model}@{rate:g}k" for rate in (_numbers(rates, "--kbps", float) if rates else [])]
    given["whisper"], given["judges"] = whisper, _judges(whisper, judges)
    return _compare(AUDIO, names or [model], find_audio(folder, given["max_files"], audio_track), **given)


@eval_group.command("vision")
@click.argument("folder", type=Path_)
@click.option("--model", default="jovio-16-v7", show_default=True, help="Name of a model, or its folder.")
@click.option("--n-q", "levels", help="Numbers of levels, equal in all patches, like 1,4,16.")
@click.option("--bpp", "rates", help="Bits per pixel, with adaptive levels, like 0.1,0.4.")
@click.option("--kbps", "bitrates", help="Of a folder of videos alone: kbit/s, like 85,250.")
@comparison
@common
def vision(folder: Path, model: str, levels: str | None, rates: str | None, bitrates: str | None, **given: Any) -> int:
    """Encode and decode the images and videos in FOLDER; print bits per pixel, PSNR, MS-SSIM and times.

    Of videos also VMAF, where there is an ffmpeg program with libvmaf.
    """
    from josiecodec.evaluation.codecs import VISION
    from josiecodec.evaluation.items import find_vision
    from josiecodec.metrics.vmaf import SWITCH, ffmpeg_with_vmaf

    names = [f"{model}@n{n}" for n in (_numbers(levels, "--n-q", int) if levels else [])]
    names += [f"{model}@{rate:g}" for rate in (_numbers(rates, "--bpp", float) if rates else [])]
    names += [f"{model}@{rate:g}k" for rate in (_numbers(bitrates, "--kbps", float) if bitrates else [])]
    items = find_vision(folder, given["max_files"])
    if any(item.kind == "video" for item in items) and ffmpeg_with_vmaf() is None:
        click.echo(f"note: no VMAF: there is no ffmpeg with libvmaf here ({SWITCH} names one)", err=True)
    return _compare(VISION, names or [model], items, **given)


@eval_group.command("bd-rate")
@click.argument("results", type=Path_)
@click.option(
    "--anchor",
    metavar="CODEC",
    multiple=True,
    help="Codec to compare with; several times for several.  [default: each]",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, one object a line.")
def bd_rate(results: Path, anchor: tuple[str, ...], as_json: bool) -> None:
    """Print BD-rates between the codecs in RESULTS, the folder or results.json of an earlier comparison.

    How many percent more bits a codec takes than the anchor at the same quality, by every measure, with 95 % intervals
    over files. Curves that do not rise have none.
    """
    from josiecodec.evaluation.bd_rates import bd_rates, check_anchor, curves_of, format_bd_rates
    from josiecodec.evaluation.table import read_rows

    rows = read_rows(results)
    for codec in anchor:
        check_anchor(codec, [row["codec"] for row in rows])
    found = [line for codec in anchor or curves_of(rows) for line in bd_rates(rows, codec)]
    click.echo("\n".join(map(json.dumps, found)) if as_json else format_bd_rates(found))


@eval_group.command("codes")
@click.argument("files", type=Path_, nargs=-1, required=True)
@click.option(
    "--model", "folders", type=Path_, multiple=True, help="Folder of the model, if it does not ship with the package."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, one object a line.")
def codes(files: tuple[Path, ...], folders: tuple[Path, ...], as_json: bool) -> None:
    """Print how the codebooks are used in .josie FILES.

    For each level: the fraction of its codes that occur, entropy, perplexity, and bits per code with fixed length
    and with range coding.
    """
    from josiecodec.bitstream.bitpacking import code_bits
    from josiecodec.bitstream.statistics import code_usage, codebook_use

    use = code_usage(files, given_tables(folders))
    for level, counts in enumerate(use.counts):
        line: dict[str, Any] = {"level": level, "codes": int(counts.sum())}
        line |= {k: round(v, 4) for k, v in codebook_use(counts).items()}
        line["fixed_length_bits"] = code_bits(len(counts))
        if use.bits is not None and counts.any():
            line["range_coded_bits"] = round(float(use.bits[level] / counts.sum()), 4)
        click.echo(json.dumps(line) if as_json else "  ".join(f"{k} {v}" for k, v in line.items()))


@eval_group.command("semantic")
@click.argument("folder", type=Path_)
@click.option("--train", type=Path_, required=True, help="Folder of recordings that the probe is trained on.")
@click.option("--model", default="jodio-24k-v4", show_default=True, help="Name of a model, or its folder.")
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
    """Measure how well single codes of each level predict the phone spoken, for speakers not in --train."""
    import josiecodec
    from josiecodec.training.audio.data import load_recordings
    from josiecodec.training.audio.phones import load_phones
    from josiecodec.training.audio.probe import probe_levels

    codec = josiecodec.load(model, use_device(device, threads))
    training, test = load_recordings(train, codec.sample_rate), load_recordings(folder, codec.sample_rate)
    result = probe_levels(codec, (training, load_phones(train_phones, training)), (test, load_phones(phones, test)))
    if as_json:
        click.echo(json.dumps(result))
        return
    for name, value in result.items():
        click.echo(f"{name}: {value:.4f}")


@eval_group.command("stability")
@click.argument("folder", type=Path_)
@click.option("--model", default="jodio-24k-v4", show_default=True, help="Name of a model, or its folder.")
@click.option("--n-q", "levels", type=click.IntRange(1), help="Number of levels.  [default: the model's]")
@click.option("--max-files", type=click.IntRange(1), help="Use at most this many files, evenly spaced.")
@common
def stability(
    folder: Path,
    model: str,
    levels: int | None,
    max_files: int | None,
    device: str,
    threads: int | None,
    as_json: bool,
) -> None:
    """Print the share of codes that stay, level by level, when the recordings in FOLDER are shifted by 1 to 79 ms,
    louder or quieter, or slightly noisy.
    """
    import torch

    import josiecodec
    from josiecodec.evaluation.items import SAMPLE_RATE, find_audio
    from josiecodec.evaluation.stability import stability as measure
    from josiecodec.media.audio_reader import resample

    codec = josiecodec.load(model, use_device(device, threads))
    if not hasattr(codec, "sample_rate"):
        raise click.BadParameter(f"{model} is not an audio codec")
    items = find_audio(folder, max_files)
    waves = (torch.as_tensor(resample(item.load()[0][None], SAMPLE_RATE, codec.sample_rate)[0]) for item in items)
    for line in measure(codec, waves, levels):
        shares = "  ".join(f"{share:.2f}" for share in line["equal"])
        click.echo(json.dumps(line) if as_json else f"{line['change']:17}{shares}")


@eval_group.command("listening")
@click.argument("results", type=Path_, nargs=-1, required=True)
@click.option("--key", type=Path_, required=True, help="key.json of the listening test.")
@click.option("--all", "everyone", is_flag=True, help="Count listeners whom the screening leaves out.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, one object a line.")
def listening(results: tuple[Path, ...], key: Path, everyone: bool, as_json: bool) -> None:
    """Print what listeners found, from the RESULTS that they sent back: means with 95 % intervals.

    Listeners of MUSHRA are screened as in ITU-R BS.1534-3; a note names those left out.
    """
    from josiecodec.evaluation.listening_results import evaluate, format_results, read_results, screened

    about, found = read_results(key, list(results))
    out = {} if everyone else screened(about, found)
    for listener, reason in out.items():
        click.echo(f"note: {listener} is left out: {reason}", err=True)
    lines = evaluate(about, [result for result in found if result["listener"] not in out])
    if not as_json:
        click.echo(f"{about['kind']}, {len(found) - len(out)} of {len(found)} listeners")
    click.echo("\n".join(map(json.dumps, lines)) if as_json else format_results(lines))
