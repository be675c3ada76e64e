"""Rate and quality of our models and other codecs in one report, from real runs.

    python benchmarks/report.py --audio AUDIO_VALID --vision VISION_VALID --train TRAIN_IMAGES --out docs/results.md

AUDIO_VALID holds recordings (with a manifest.tsv, if some are music), VISION_VALID images and videos. TRAIN_IMAGES are
for the linear baseline: principal components of patches and residual k-means codebooks, no network at all; any network
has to beat it. Rows, decoded files and pages with players go to --work, where a run that was stopped resumes; the
report itself holds the tables, and a contact sheet of images at equal size is written beside it.
"""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path

import torch
from tqdm import tqdm

from josiecodec.bitstream.bitpacking import code_bits
from josiecodec.bitstream.statistics import code_usage
from josiecodec.coding.jovio import Jovio
from josiecodec.evaluation import table
from josiecodec.evaluation.codecs import AUDIO, build, expand
from josiecodec.evaluation.items import Item, evenly_spaced, find_audio, find_vision
from josiecodec.evaluation.page import write_page
from josiecodec.evaluation.run import compare
from josiecodec.hub.store import save
from josiecodec.media.images import save_image
from josiecodec.settings import EncoderSettings
from josiecodec.training.vision.data import DataConfig, Pictures, PictureSampler
from josiecodec.vision.convnet import ConvDecoder, ConvEncoder, start_linear
from josiecodec.vision.presets import preset

AUDIO_CODECS = "jodio-24k@1+2+5+9+17+32,opus@6+9+12,mp3@8+16,codec2"
LEVELS = "@n1+n2+n4+n8+n16+n32"
IMAGE_CODECS = "jpeg@1+5+10+20+40+70,webp@0+5+20+50+80,avif@5+20+40+60,jpeg2000@30+60+120+240"
VIDEO_CODECS = "@0.03+0.1,x264@30+36+42,x265@30+36+42"
BPP = (0.05, 0.1, 0.2, 0.4, 0.8)
SIDE = 320  # of the tiles of the contact sheet
SHEET_BPP = 0.2


def linear_codec(train: Path, patches: int) -> Jovio:
    """The baseline that any network must beat: what `jovio-16` is before its first step of training."""
    torch.manual_seed(0)
    codec = (
        Jovio(
            dataclasses.replace(
                preset("jovio-16"), name="linear", encoding=EncoderSettings(beams=16, rd_lambda=0.03, masking=0.0)
            )
        )
        .eval()
        .requires_grad_(False)
    )
    sampler = PictureSampler(Pictures(train, videos=False), DataConfig(), codec.config.group)
    samples = sampler.patches(patches, codec.patch)
    assert isinstance(codec.encoder, ConvEncoder)
    assert isinstance(codec.decoder, ConvDecoder)
    start_linear(codec.encoder, codec.decoder, samples)
    groups = torch.cat([samples, torch.zeros_like(samples)], 1)[:, None]
    latents = torch.cat([codec.latent(g).reshape(len(g), -1) for g in groups.split(4096)])
    codec.rvq.initialise(latents, torch.Generator().manual_seed(0))
    return codec


def run(names: list[str], kinds: tuple[str, ...], items: list[Item], work: Path, workers: int) -> list[dict]:
    """Compare, with a progress bar; returns the means, and makes the page with players in `work`."""
    with tqdm(total=len(names) * len(items), unit="file") as bar:
        rows = compare(names, kinds, items, work, workers=workers, progress=bar.update, report=tqdm.write)
    for row in rows:
        row["codec"] = row["codec"].replace(str(work), "").lstrip("/")
    lines = table.means(rows)
    write_page(work / "page", items, rows, lines)
    for text in table.problems(rows):
        tqdm.write(text)
    return lines


def markdown(lines: list[dict], columns: dict[str, str]) -> str:
    """Means as a table; `columns` gives names and headings."""
    shown = {name: title for name, title in columns.items() if any(name in line for line in lines)}
    out = [f"| codec | files | {' | '.join(shown.values())} |", "|---" * (len(shown) + 2) + "|"]
    for line in lines:
        cells = []
        for name in shown:
            value = line.get(name)
            half = (line[f"{name}_high"] - line[f"{name}_low"]) / 2 if f"{name}_high" in line else 0
            cells.append("" if value is None else f"{value:.4g}" + (f" ±{half:.1g}" if half else ""))
        out.append(f"| {line['codec']} | {line['files']} | {' | '.join(cells)} |")
    return "\n".join(out) + "\n"


def at_rates(lines: list[dict], score: str) -> str:
    """A score of every family of codecs at equal rates, interpolated linearly in the logarithm of the rate."""
    families = list(dict.fromkeys(_family(line["codec"]) for line in lines))
    out = [f"| bpp | {' | '.join(families)} |", "|---" * (len(families) + 1) + "|"]
    for rate in BPP:
        cells = []
        for family in families:
            own = [line for line in lines if _family(line["codec"]) == family]
            value = table.at_rate(own, "bpp", rate, score)
            cells.append("" if value is None else f"{value:.2f}" if score == "psnr" else f"{value:.3f}")
        out.append(f"| {rate} | {' | '.join(cells)} |")
    return "\n".join(out) + "\n"


def _family(codec: str) -> str:
    name, _, setting = codec.partition("@")
    return f"{name}, equal levels" if setting.startswith("n") else name


def code_costs(title: str, files: list[Path]) -> str:
    """Bits per code of each level with range coding, against fixed-length codes."""
    use = code_usage(files)
    if use.bits is None:
        return ""
    fixed = code_bits(use.counts.shape[1])
    numbers = use.counts.sum(1)
    out = f"\n## {title}\n\nFixed-length codes take {fixed} bits; range coding takes "
    out += f"{1 - use.bits.sum() / (fixed * numbers.sum()):.1%} less on all codes together.\n\n"
    out += "| level | codes | bits per code | saving |\n|---|---|---|---|\n"
    for level, (bits, number) in enumerate(zip(use.bits, numbers)):
        if number:
            out += f"| {level} | {number} | {bits / number:.2f} | {1 - bits / number / fixed:.1%} |\n"
    return out


def contact_sheet(items: list[Item], path: Path) -> None:
    """Originals, ours, JPEG and AVIF at equal size, a row for each image."""
    ours = build(f"jovio-16@{SHEET_BPP}", ("image",))
    others = {kind: [build(f"{kind}@{q}", ("image",)) for q in range(1, 60, 2)] for kind in ("jpeg", "avif")}
    rows = []
    for item in items:
        x, rate = item.load()
        data = ours.encode(x, rate)
        shown = [x, ours.decode(data, rate)]
        for codecs in others.values():
            files = [(codec, codec.encode(x, rate)) for codec in codecs]
            codec, nearest = min(files, key=lambda f: abs(len(f[1]) - len(data)))
            shown.append(codec.decode(nearest, rate))
        tiles = [torch.nn.functional.pad(s[:, :SIDE, :SIDE], (0, max(0, SIDE - s.shape[-1]))) for s in shown]
        rows.append(torch.cat(tiles, 2))
    save_image(torch.cat(rows, 1), path)


def audio_report(folder: Path, work: Path, workers: int, max_files: int | None) -> str:
    """Tables for audio."""
    lines = run(expand(AUDIO_CODECS, AUDIO), AUDIO, find_audio(folder, max_files), work / "audio", workers)
    columns = {"kbps": "kbit/s", "payload_kbps": "without container", "pesq_wb": "PESQ-WB", "pesq_nb": "PESQ-NB"}
    columns |= {"stoi": "STOI", "si_sdr": "SI-SDR, dB", "mel": "mel distance"}
    columns |= {"encode_rtf": "encode, s/s", "decode_rtf": "decode, s/s"}
    text = "# Audio\n"
    for label in dict.fromkeys(line["label"] for line in lines):
        text += f"\n## {label}\n\n" + markdown([line for line in lines if line["label"] == label], columns)
    files = sorted((work / "audio" / "files" / "jodio-24k@32").glob("*.bin"))
    return text + code_costs("Range coding of all 32 levels", files)


def vision_report(
    folder: Path,
    train: Path | None,
    work: Path,
    workers: int,
    sheet: Path,
    max_files: tuple[int | None, int | None],
    patches: int,
) -> str:
    """Tables for images and videos, and the contact sheet."""
    items = find_vision(folder)
    images = evenly_spaced([item for item in items if item.kind == "image"], max_files[0])
    videos = [item for item in items if item.kind == "video"][: max_files[1]]
    adaptive = "@" + "+".join(map(str, BPP))
    names = f"jovio-16{adaptive},jovio-16{LEVELS}"
    if train:
        linear = work / "images" / "linear"
        if not linear.exists():
            save(linear_codec(train, patches), linear)
        names += f",{linear}{adaptive},{linear}{LEVELS}"
    lines = run(expand(f"{names},{IMAGE_CODECS}", ("image",)), ("image",), images, work / "images", workers)
    columns = {"bpp": "bits per pixel", "psnr": "PSNR, dB", "ms_ssim": "MS-SSIM", "encode_s": "encode, s"}
    columns |= {"decode_s": "decode, s"}
    text = f"# Images\n\n{len(images)} images. At equal rates, PSNR in dB:\n\n{at_rates(lines, 'psnr')}"
    text += f"\nMS-SSIM:\n\n{at_rates(lines, 'ms_ssim')}\nAll points:\n\n{markdown(lines, columns)}"
    contact_sheet(images[:: max(1, len(images) // 6)][:6], sheet)
    text += (
        f"\nSix of them: original, ours, JPEG and AVIF at {SHEET_BPP} bits per pixel: [{sheet.name}]({sheet.name}).\n"
    )
    files = sorted((work / "images" / "files" / "jovio-16@0.4").glob("*.bin"))
    text += code_costs("Range coding at 0.4 bits per pixel", files)
    if videos:
        lines = run(expand(f"jovio-16{VIDEO_CODECS}", ("video",)), ("video",), videos, work / "videos", workers)
        columns = {"bpp": "bits per pixel", "kbps": "kbit/s", "psnr": "PSNR, dB", "ms_ssim": "MS-SSIM"}
        columns |= {
            "difference_psnr": "PSNR of frame differences, dB",
            "encode_s": "encode, s",
            "decode_s": "decode, s",
        }
        text += (
            f"\n# Video\n\n{len(videos)} videos; the other codecs run without look-ahead.\n\n{markdown(lines, columns)}"
        )
    return text


def main() -> None:
    """Run what the options ask for, and write the report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--audio", type=Path)
    parser.add_argument("--vision", type=Path)
    parser.add_argument("--train", type=Path)
    parser.add_argument("--patches", type=int, default=60000, help="that the linear baseline is fitted to")
    parser.add_argument("--no-video", action="store_true", help="images alone")
    parser.add_argument("--max-files", type=int, help="of each kind")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--work", type=Path, default=Path("report"))
    parser.add_argument("--out", type=Path, default=Path("docs/results.md"))
    args = parser.parse_args()
    text = "Written by `benchmarks/report.py`. Means over files, ± half of the 95 % interval; sizes of whole files.\n"
    args.out.parent.mkdir(parents=True, exist_ok=True)
    if args.audio:
        text += "\n" + audio_report(args.audio, args.work, args.workers, args.max_files)
    if args.vision:
        sheet = args.out.with_name("contact_sheet.webp")
        max_files = (args.max_files, 0 if args.no_video else args.max_files)
        text += "\n" + vision_report(args.vision, args.train, args.work, args.workers, sheet, max_files, args.patches)
    args.out.write_text(text)


if __name__ == "__main__":
    main()
