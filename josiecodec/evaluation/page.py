"""The page of a comparison: plots, a table, and some files to play or view. One folder, no network.

`assets/page.html` is the template; this module inserts the figures and copies the media.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from ..atomic import write_bytes
from ..display import mel_axis, mel_levels, spectrogram
from ..errors import CodecError
from ..media.audio_reader import load_audio
from ..media.images import save_image
from ..media.video_reader import VideoReader
from .items import SAMPLE_RATE, Item, evenly_spaced
from .provenance import provenance
from .round_trip import SUFFIX

FILES_SHOWN = 6  # of each kind
PLOTS = {
    "audio": [
        ["kbps", "pesq_wb", "PESQ-WB"],
        ["kbps", "stoi", "STOI"],
        ["kbps", "mel", "mel distance (lower is better)"],
        ["kbps", "wer", "word error rate (lower is better)"],
    ],
    "image": [["bpp", "psnr", "PSNR, dB"], ["bpp", "ms_ssim", "MS-SSIM"]],
    "video": [
        ["kbps", "psnr", "PSNR, dB"],
        ["kbps", "ms_ssim", "MS-SSIM"],
        ["kbps", "vmaf", "VMAF"],
        ["kbps", "difference_psnr", "PSNR of frame differences, dB"],
    ],
}
PAGE_TITLE = "<title>Codecs compared</title>"


def write_page(folder: Path, items: list[Item], rows: list[dict[str, Any]], lines: list[dict[str, Any]]) -> None:
    """Write `index.html` and its media into a folder.

    Args:
        folder: made if it is not there.
        items: what was compared.
        rows: scores with `decoded` files, see `run.compare`.
        lines: their means, see `table.means`.

    Raises:
        CodecError: if the folder holds another page, which would be replaced.
    """
    page = folder / "index.html"
    if page.exists() and PAGE_TITLE not in page.read_text(encoding="utf-8", errors="replace"):
        raise CodecError(f"{page} already exists, and is not the page of a comparison")
    media = folder / "media"
    media.mkdir(parents=True, exist_ok=True)
    by_file: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        if "error" not in row:
            by_file.setdefault(row["file"], []).append(row)
    kinds = [kind for kind in SUFFIX if any(item.kind == kind and item.name in by_file for item in items)]
    shown = []
    for kind in kinds:
        chosen = evenly_spaced([item for item in items if item.kind == kind and item.name in by_file], FILES_SHOWN)
        shown += [_files(media, f"{kind}{number}", item, by_file[item.name]) for number, item in enumerate(chosen)]
    labels = {kind: list(dict.fromkeys(item.label for item in items if item.kind == kind)) for kind in kinds}
    data: dict[str, Any] = {
        "kinds": kinds,
        "plots": {kind: PLOTS[kind] for kind in kinds},
        "labels": labels,
        "means": lines,
    }
    data |= {"files": shown, "provenance": provenance([line["codec"] for line in lines]), "axis": mel_axis(SAMPLE_RATE)}
    template = (Path(__file__).parent / "assets" / "page.html").read_text(encoding="utf-8")
    # "<" cannot end the script it stands in.
    text = json.dumps(data).replace("<", "\\u003c")
    write_bytes(page, template.replace("/*DATA*/", text).encode())


def _files(media: Path, stem: str, item: Item, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Copy the original and its decoded versions; returns their entry in the page's data."""
    original = media / f"{stem}-original{SUFFIX[item.kind]}"
    versions: list[dict[str, Any]] = [{"name": "original", "source": original}]
    if item.kind == "audio":
        import soundfile

        soundfile.write(original, item.load()[0].numpy(), SAMPLE_RATE, subtype="PCM_16")
    elif item.kind == "image":
        save_image(item.load()[0], original)
    else:
        original = versions[0]["source"] = media / f"{stem}-original{Path(item.path).suffix}"
        shutil.copyfile(Path(item.folder) / item.path, original)
    for number, row in enumerate(rows):
        copy = media / f"{stem}-{number}{SUFFIX[item.kind]}"
        shutil.copyfile(row["decoded"], copy)
        scores = {
            name: row[name] for name in ("kbps", "bpp", "pesq_wb", "stoi", "psnr", "ms_ssim", "vmaf") if row.get(name)
        }
        versions.append({"name": row["codec"], "source": copy, **scores})
    versions[0]["facts"] = _facts(item, original)
    out, top = [], None
    for version in versions:
        path: Path = version["source"]
        entry = {**version, "source": f"media/{path.name}"}
        if item.kind == "audio":
            image = path.with_suffix(".png")
            wave = load_audio(path, SAMPLE_RATE).samples[0]
            top = float(mel_levels(wave, SAMPLE_RATE).max()) if top is None else top  # that of the original for all
            save_image(spectrogram(wave, SAMPLE_RATE, top=top), image)
            entry["seconds"] = round(len(wave) / SAMPLE_RATE, 3)
            entry["spectrogram"] = f"media/{image.name}"
        elif item.kind == "video":
            playable = _playable(path)
            entry["source"] = f"media/{playable.name}"
        out.append(entry)
    return {"kind": item.kind, "name": item.name, "versions": out}


def _facts(item: Item, path: Path) -> str:
    """What the original is, in a few words."""
    size = path.stat().st_size
    if item.kind == "audio":
        seconds = item.load()[0].shape[-1] / SAMPLE_RATE
        return f"{seconds:.2f} s, {SAMPLE_RATE} Hz mono, {16 * SAMPLE_RATE / 1000:g} kbit/s as 16-bit samples"
    if item.kind == "image":
        height, width = item.load()[0].shape[-2:]
        return f"{width} x {height} pixels, {8 * size / (height * width):.3g} bits per pixel as lossless PNG"
    with VideoReader(path) as reader:
        (height, width), rate, count = reader.size, float(reader.rate), reader.expected
    length = f", {count / rate:.2f} s, {8 * size * rate / count / 1000:.4g} kbit/s as it is" if count else ""
    return f"{width} x {height} pixels, {rate:g} pictures per second{length}"


def _playable(path: Path) -> Path:
    """The video as browsers play it (H.264, nearly lossless); scores are those of the lossless file."""
    import av

    out = path.with_name(f"{path.stem}-shown.mp4")
    source: Any
    target: Any
    with av.open(str(path)) as source, av.open(str(out), "w") as target:
        video = source.streams.video[0]
        stream = target.add_stream("libx264", rate=video.average_rate, options={"crf": "12", "preset": "veryfast"})
        stream.width, stream.height = video.width // 2 * 2, video.height // 2 * 2
        stream.pix_fmt = "yuv420p"
        for number, frame in enumerate(source.decode(video)):
            shown = frame.reformat(stream.width, stream.height, "yuv420p")
            shown.pts, shown.time_base = number, 1 / video.average_rate
            target.mux(stream.encode(shown))
        target.mux(stream.encode(None))
    path.unlink()
    return out
