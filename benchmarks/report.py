"""Everything about rate and quality on one page: our models beside other codecs, from real runs.

    python benchmarks/report.py --audio AUDIO_VALID --vision VISION_VALID --train TRAIN_PICTURES --out docs/results.md

AUDIO_VALID holds recordings (with a manifest.tsv, if some are music), VISION_VALID pictures and clips. TRAIN_PICTURES
is what the linear baseline learns from: principal components of patches and residual k-means codebooks, no network at
all; any network has to beat it. Rows, decoded files and pages with players go to --work, where a run that was stopped
goes on; the page that is written holds the tables alone, beside it a contact sheet of pictures at equal size.
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
from josiecodec.evaluation.codecs import build, expand
from josiecodec.evaluation.items import Item, find_sound, find_vision, spread
from josiecodec.evaluation.page import write_page
from josiecodec.evaluation.run import compare
from josiecodec.hub.store import save
from josiecodec.media.images import save_image
from josiecodec.settings import EncoderSettings
from josiecodec.training.vision.data import DataConfig, Pictures, PictureSampler
from josiecodec.vision.convnet import ConvDecoder, ConvEncoder, start_linear
from josiecodec.vision.presets import preset

SOUND = "jodio-24k@1+2+5+9+17+32,opus@6+9+12,mp3@8+16,codec2"
LEVELS = "@n1+n2+n4+n8+n16+n32"
PICTURES = "jpeg@1+5+10+20+40+70,webp@0+5+20+50+80,avif@5+20+40+60,jpeg2000@30+60+120+240"
CLIPS = "@0.03+0.1,x264@30+36+42,x265@30+36+42"
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
    found = sampler.patches(patches, codec.patch)
    assert isinstance(codec.encoder, ConvEncoder)
    assert isinstance(codec.decoder, ConvDecoder)
    start_linear(codec.encoder, codec.decoder, found)
    groups = torch.cat([found, torch.zeros_like(found)], 1)[:, None]
    latents = torch.cat([codec.latent(g).reshape(len(g), -1) for g in groups.split(4096)])
    codec.rvq.initialise(latents, torch.Generator().manual_seed(0))
    return codec


def run(names: list[str], kinds: tuple[str, ...], items: list[Item], work: Path, workers: int) -> list[dict]:
    """Compare, with a progress bar; returns the means, and makes the page with players in `work`."""
    with tqdm(total=len(names) * len(items), unit="file") as bar:
        rows = compare(names, kinds, items, work, workers=workers, progress=bar.update, say=tqdm.write)
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
    """A score of every family of codecs at equal rates, on straight lines over the logarithm of the rate."""
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
    return f"{name}, even" if setting.startswith("n") else name


def prices(title: str, files: list[Path]) -> str:
    """What range coding takes for the codes of each level, beside plain packing."""
    use = code_usage(files)
    if use.bits is None:
        return ""
    plain = code_bits(use.counts.shape[1])
    numbers = use.counts.sum(1)
    out = f"\n## {title}\n\nPlain packing takes {plain} bits a code; all codes together take "
    out += f"{1 - use.bits.sum() / (plain * numbers.sum()):.1%} less with range coding.\n\n"
    out += "| level | codes | bits a code | saving |\n|---|---|---|---|\n"
    for level, (bits, number) in enumerate(zip(use.bits, numbers)):
        if number:
            out += f"| {level} | {number} | {bits / number:.2f} | {1 - bits / number / plain:.1%} |\n"
    return out


def contact_sheet(items: list[Item], path: Path) -> None:
    """Originals, ours, JPEG and AVIF at equal size, one picture in a row."""
    ours = build(f"jovio-16@{SHEET_BPP}", ("picture",))
    others = {kind: [build(f"{kind}@{q}", ("picture",)) for q in range(1, 60, 2)] for kind in ("jpeg", "avif")}
    rows = []
    for item in items:
        x = item.picture()
        data = ours.encode_picture(x)
        shown = [x, ours.decode_picture(data)]
        for codecs in others.values():
            found = [(codec, codec.encode_picture(x)) for codec in codecs]
            codec, nearest = min(found, key=lambda f: abs(len(f[1]) - len(data)))
            shown.append(codec.decode_picture(nearest))
        tiles = [torch.nn.functional.pad(s[:, :SIDE, :SIDE], (0, max(0, SIDE - s.shape[-1]))) for s in shown]
        rows.append(torch.cat(tiles, 2))
    save_image(torch.cat(rows, 1), path)


def sound_report(folder: Path, work: Path, workers: int, most: int | None) -> str:
    """Tables for sound."""
    lines = run(expand(SOUND, ("sound",)), ("sound",), find_sound(folder, most), work / "sound", workers)
    columns = {"kbps": "kbit/s", "payload_kbps": "without container", "pesq_wb": "PESQ-WB", "pesq_nb": "PESQ-NB"}
    columns |= {"stoi": "STOI", "si_sdr": "SI-SDR, dB", "mel": "mel distance"}
    columns |= {"encode_rtf": "encode, s/s", "decode_rtf": "decode, s/s"}
    text = "# Sound\n"
    for label in dict.fromkeys(line["label"] for line in lines):
        text += f"\n## {label}\n\n" + markdown([line for line in lines if line["label"] == label], columns)
    files = sorted((work / "sound" / "files" / "jodio-24k@32").glob("*.bin"))
    return text + prices("Range coding of all 32 levels", files)


def vision_report(
    folder: Path,
    train: Path | None,
    work: Path,
    workers: int,
    sheet: Path,
    most: tuple[int | None, int | None],
    patches: int,
) -> str:
    """Tables for pictures and clips, and the contact sheet."""
    items = find_vision(folder)
    pictures = [item for item in items if item.kind == "picture"]
    pictures = spread(pictures, most[0])
    clips = [item for item in items if item.kind == "video"][: most[1]]
    adaptive = "@" + "+".join(map(str, BPP))
    names = f"jovio-16{adaptive},jovio-16{LEVELS}"
    if train:
        linear = work / "pictures" / "linear"
        if not linear.exists():
            save(linear_codec(train, patches), linear)
        names += f",{linear}{adaptive},{linear}{LEVELS}"
    lines = run(expand(f"{names},{PICTURES}", ("picture",)), ("picture",), pictures, work / "pictures", workers)
    columns = {"bpp": "bits per pixel", "psnr": "PSNR, dB", "ms_ssim": "MS-SSIM", "encode_s": "encode, s"}
    columns |= {"decode_s": "decode, s"}
    text = f"# Pictures\n\n{len(pictures)} pictures. At equal rates, PSNR in dB:\n\n{at_rates(lines, 'psnr')}"
    text += f"\nMS-SSIM:\n\n{at_rates(lines, 'ms_ssim')}\nAll points:\n\n{markdown(lines, columns)}"
    contact_sheet(pictures[:: max(1, len(pictures) // 6)][:6], sheet)
    text += (
        f"\nSix of them: original, ours, JPEG and AVIF at {SHEET_BPP} bits per pixel: [{sheet.name}]({sheet.name}).\n"
    )
    files = sorted((work / "pictures" / "files" / "jovio-16@0.4").glob("*.bin"))
    text += prices("Range coding at 0.4 bits per pixel", files)
    if clips:
        lines = run(expand(f"jovio-16{CLIPS}", ("video",)), ("video",), clips, work / "clips", workers)
        columns = {"bpp": "bits per pixel", "kbps": "kbit/s", "psnr": "PSNR, dB", "ms_ssim": "MS-SSIM"}
        columns |= {
            "difference_psnr": "PSNR of frame differences, dB",
            "encode_s": "encode, s",
            "decode_s": "decode, s",
        }
        text += f"\n# Clips\n\n{len(clips)} clips; the others run without look-ahead.\n\n{markdown(lines, columns)}"
    return text


def main() -> None:
    """Run everything that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--audio", type=Path)
    parser.add_argument("--vision", type=Path)
    parser.add_argument("--train", type=Path)
    parser.add_argument("--patches", type=int, default=60000, help="that the linear baseline learns from")
    parser.add_argument("--no-clips", action="store_true", help="pictures alone")
    parser.add_argument("--most", type=int, help="files of each kind at most")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--work", type=Path, default=Path("report"))
    parser.add_argument("--out", type=Path, default=Path("docs/results.md"))
    args = parser.parse_args()
    text = "Written by `benchmarks/report.py`. Means over files, ± half of the 95 % interval; sizes of whole files.\n"
    args.out.parent.mkdir(parents=True, exist_ok=True)
    if args.audio:
        text += "\n" + sound_report(args.audio, args.work, args.workers, args.most)
    if args.vision:
        sheet = args.out.with_name("contact_sheet.webp")
        most = (args.most, 0 if args.no_clips else args.most)
        text += "\n" + vision_report(args.vision, args.train, args.work, args.workers, sheet, most, args.patches)
    args.out.write_text(text)


if __name__ == "__main__":
    main()
