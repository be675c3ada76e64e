"""Write docs/results.md from files of results: ours beside other codecs, at equal rates, with BD-rates and times.

    python benchmarks/report.py [--audio FOLDER] [--pictures FOLDER]

`--audio` and `--pictures` take over what `josiecodec eval ... --out FOLDER` has measured; without them the page is
written from what is in benchmarks/results: quality_audio.json, quality_pictures.json and video.json. The page is of the
models below alone; `benchmarks/results_page.sh` measures everything and then writes it. Models that are not those that
ship are refused.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable
from pathlib import Path

from results_bd import BdRate, of_clips, of_entries
from results_files import Entry, entries_of, means_of, read, write
from results_video import VIDEO_CODECS, read_video, video_means

from josiecodec.atomic import write_bytes
from josiecodec.evaluation.codecs import split
from josiecodec.evaluation.table import at_rate

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results"
README = ROOT / "README.md"
AUDIO, PICTURES = RESULTS / "quality_audio.json", RESULTS / "quality_pictures.json"
AUDIO_MODEL, PICTURE_MODEL = "jodio-24k-v4", "jovio-16-v7"
ABOUT = {
    AUDIO: "74 recordings of speech, 6 of music and 2 of environment, none in training; josiecodec eval audio",
    PICTURES: "46 photographs and 4 screenshots or drawings, none in training; josiecodec eval vision",
}
BASE = tuple(f"{AUDIO_MODEL}@{n}" for n in (1, 2, 5, 9))
PEERS = {"opus": "Opus", "codec2": "Codec 2", "mp3": "MP3"}
PICTURE_PEERS = {
    "avif": "AVIF",
    "avif-psnr": "AVIF, tune=psnr",
    "avif-ssim": "AVIF, tune=ssim",
    "jxl": "JPEG XL",
    "webp": "WebP",
    "jpeg2000": "JPEG 2000",
    "jpeg": "JPEG",
}
EARLIER_AUDIO = (
    *(f"{AUDIO_MODEL}@{n}" for n in ("9", "2.4k", "4.4k")),
    *("jodio-24k-v3@2.4k", "jodio-24k-v3@4.4k", "jodio-24k-v2@17", "jodio-24k-v2@32", "jodio-24k@9", "jodio-24k@32"),
)
BESIDE = (
    *(f"{AUDIO_MODEL}@{setting}" for setting in ("9", "2.4k", "4.4k", "8.8k")),
    *("codec2@1200", "codec2@3200", "opus@6", "opus@9"),
)
PICTURE_SCORES = ("bpp", "psnr", "ms_ssim")
FIXED = {"avif-slow": "AVIF, speed 4", "webp": "WebP", "jpeg2000": "JPEG 2000", "jpeg": "JPEG"}
SIZES = (0.05, 0.1, 0.2, 0.4, 0.8)
MOST = 0.85  # share of the pictures that a format must have made as small for its mean to stand beside others
SPEECH = {"pesq_wb": ("PESQ-WB", 2), "stoi": ("STOI", 3), "estoi": ("ESTOI", 3), "si_sdr": ("SI-SDR", 1),
          "mel": ("mel", 2), "wer": ("words", 3)}  # fmt: skip
Cells = list[str]


def table(head: Cells, rows: list[Cells]) -> str:
    """A table in Markdown."""
    lines = [f"| {' | '.join(cells)} |" for cells in [head, ["---"] * len(head), *rows]]
    return "\n".join(lines) + "\n"


def number(line: dict, name: str, digits: int) -> str:
    """A mean, with half of its interval where that is known."""
    if line.get(name) is None:
        return ""
    half = line.get(f"{name}_half")
    scale = 100 if name == "wer" else 1
    digits = 1 if name == "wer" else digits
    text = f"{scale * line[name]:.{digits}f}"
    return text + (f" ±{scale * half:.{digits}f}" if half is not None else "") + (" %" if name == "wer" else "")


def seconds(line: dict, name: str) -> str:
    return f"{line[name]:.2g}" if line.get(name) is not None else ""


def audio_name(codec: str) -> str:
    """A codec with its setting for readers."""
    base, _, setting = split(codec)
    if setting.endswith("k"):
        return f"**{base}** `--kbps {setting[:-1]}`"
    if base == AUDIO_MODEL:
        return f"**{base}** `--n-q {setting}`"
    return f"{PEERS.get(base, base)}, {'mode ' + setting if base == 'codec2' else setting + ' kbit/s'}"


def audio_table(entries: dict[str, Entry], label: str) -> str:
    """All points of a kind of sound, in order of their rates."""
    means = means_of(entries, label, ("kbps", *SPEECH, "encode", "decode"))
    shown = {name: about for name, about in SPEECH.items() if any(name in line for line in means.values())}
    times = any("encode" in line for line in means.values())
    head = ["kbit/s", "codec", *(title for title, _ in shown.values()), *(["encode", "decode"] if times else [])]
    rows = []
    for codec, line in sorted(means.items(), key=lambda pair: pair[1]["kbps"]):
        cells = [f"{line['kbps']:.2f}", audio_name(codec), *(number(line, n, d) for n, (_, d) in shown.items())]
        rows.append([*cells, *([seconds(line, "encode"), seconds(line, "decode")] if times else [])])
    return table(head, rows)


def bd_cell(found: BdRate | None) -> str:
    """A BD-rate with its interval."""
    if found is None:
        return "none"
    value, ends = found
    return f"{value:+z.0f} %" + (f" ({ends[0]:+z.0f} to {ends[1]:+z.0f})" if ends else "")


def audio_bd(entries: dict[str, Entry], label: str) -> str:
    """BD-rates of ours against others, a row for each with which a curve of ours shares a quality."""
    names = [name for name in SPEECH if name != "wer"]
    rows = []
    for peer, title in PEERS.items():
        curve, points = audio_curves(entries)[peer == "codec2"]
        found = [of_entries(entries, peer_points(entries, peer), points, label, "kbps", name) for name in names]
        if any(found):
            rows.append([title, curve, *map(bd_cell, found)])
    return table(["against", f"of {AUDIO_MODEL}", *(SPEECH[name][0] for name in names)], rows)


def audio_curves(entries: dict[str, Entry]) -> list[tuple[str, list[str]]]:
    """What one would use beside Opus and MP3, and what beside Codec 2, each with its points."""
    by_rate = [codec for codec in entries if split(codec)[0] == AUDIO_MODEL and _kbps(codec) >= 2.4]
    return [("`--kbps` from 2.4", by_rate), ("1 to 9 levels", [codec for codec in BASE if codec in entries])]


def peer_points(entries: dict[str, Entry], peer: str) -> list[str]:
    return [codec for codec in entries if split(codec)[0] == peer]


def _kbps(codec: str) -> float:
    setting = split(codec)[2]
    return float(setting[:-1]) if setting.endswith("k") else 0.0


def picture_table(entries: dict[str, Entry], label: str) -> str:
    """PSNR and MS-SSIM at each size, BD-rates and times, a row for each format."""
    means = means_of(entries, label, ("bpp", "psnr", "ms_ssim", "encode", "decode"))
    most = max(line["files"] for line in means.values())
    own = [f"{PICTURE_MODEL}@{size:g}" for size in SIZES]
    rows = []
    for base, title in {PICTURE_MODEL: f"**{PICTURE_MODEL}**", **PICTURE_PEERS}.items():
        points = [f"{base}@{size:g}" + ("" if base == PICTURE_MODEL else "bpp") for size in SIZES]
        if not any(point in means for point in points):
            continue
        cells = [picture_cell(means.get(point), most) for point in points]
        bd = ["", ""]
        if base != PICTURE_MODEL:
            bd = [bd_cell(picture_bd(entries, base, own, label, name)) for name in ("psnr", "ms_ssim")]
        line = means.get(points[2], {})
        rows.append([title, *cells, *bd, seconds(line, "encode"), seconds(line, "decode")])
    head = ["format", *(f"{size:g}" for size in SIZES), "BD-rate, PSNR", "BD-rate, MS-SSIM", "encode", "decode"]
    return table(head, rows)


def picture_bd(entries: dict[str, Entry], base: str, own: list[str], label: str, measure: str) -> BdRate | None:
    """BD-rate of ours against a format, of the sizes that nearly all pictures have there."""
    means = means_of({c: e for c, e in entries.items() if split(c)[0] in (base, PICTURE_MODEL)}, label, ())
    most = max((line["files"] for line in means.values()), default=0)
    points = [f"{base}@{size:g}bpp" for size in SIZES]
    common = [point for point in points if means.get(point, {"files": 0})["files"] >= MOST * most]
    return of_entries(entries, common, own, label, "bpp", measure)


def fixed_table(entries: dict[str, Entry]) -> str:
    """PSNR and MS-SSIM of all pictures at each size, read off between settings that are the same for all of them."""
    rows = []
    own = means_of({f"{PICTURE_MODEL}@{s:g}": entries[f"{PICTURE_MODEL}@{s:g}"] for s in SIZES}, "", PICTURE_SCORES)
    formats = {f"**{PICTURE_MODEL}**": own}
    means = means_of(entries, "pictures", ())
    for base, title in FIXED.items():
        formats[title] = {c: line for c, line in means.items() if split(c)[0] == base}
    for title, lines in formats.items():
        cells = []
        for size in SIZES:
            psnr, similar = (at_rate(list(lines.values()), "bpp", size, name) for name in ("psnr", "ms_ssim"))
            if title.startswith("**"):
                line = lines[f"{PICTURE_MODEL}@{size:g}"]
                psnr, similar = line["psnr"], line["ms_ssim"]
            cells.append(f"{psnr:.2f} / {similar:.3f}" if psnr and similar else "")
        rows.append([title, *cells])
    return table(["format", *(f"{size:g}" for size in SIZES)], rows)


def picture_cell(line: dict | None, most: int) -> str:
    """PSNR and MS-SSIM at a size; how many pictures have none that is so small."""
    if line is None:
        return ""
    if line["files"] < MOST * most:
        return f"only {line['files']} of {most}"
    short = f" ({line['files']})" if line["files"] < most else ""
    return f"{line['psnr']:.2f} / {line['ms_ssim']:.3f}{short}"


def video_table(rows: list[dict]) -> str:
    """Means over the clips at each rate."""
    rates = sorted({row["wanted"] for row in rows})
    shown = []
    for codec, title in VIDEO_CODECS.items():
        lines = [video_means(rows, codec, rate) for rate in rates]
        cells = [f"{m['psnr']:.2f} / {m['ms_ssim']:.3f} / {m['difference_psnr']:.2f}" for m in lines]
        times = [sum(m[name] for m in lines) / len(lines) for name in ("encode", "decode")]
        shown.append([title, *cells, *(f"{value:.2g}" for value in times)])
    return table(["codec", *(f"{rate:g} kbit/s" for rate in rates), "encode", "decode"], shown)


def video_bd(rows: list[dict]) -> str:
    """BD-rates of ours against others, means over clips with intervals and the extremes."""
    shown = []
    for codec, title in list(VIDEO_CODECS.items())[1:]:
        cells = []
        for measure in ("psnr", "ms_ssim", "difference_psnr"):
            mean, ends, clips = of_clips(rows, codec, next(iter(VIDEO_CODECS)), measure)
            each = f"clips {min(clips):+z.0f} to {max(clips):+z.0f}" if clips else ""
            cells.append(f"{bd_cell((mean, ends))}; {each}" if clips else "none")
        shown.append([title, *cells])
    return table(["against", "PSNR", "MS-SSIM", "PSNR of differences"], shown)


def earlier_audio(entries: dict[str, Entry]) -> str:
    """Models of speech before that of the page, beside it."""
    shown = {"kbps": 2, "pesq_wb": 2, "stoi": 3, "mel": 2}
    means = means_of(entries, "speech", shown)
    rows = []
    for codec in EARLIER_AUDIO:
        if codec in means:
            base, _, setting = split(codec)
            option = f"`--kbps {setting[:-1]}`" if setting.endswith("k") else f"`--n-q {setting}`"
            rows.append([base, option, *(f"{means[codec][name]:.{digits}f}" for name, digits in shown.items())])
    return table(["model", "setting", "kbit/s", "PESQ-WB", "STOI", "mel"], rows)


def earlier_pictures(entries: dict[str, Entry]) -> str:
    """PSNR and MS-SSIM over all pictures of all models, the newest first."""
    means = means_of(entries, "pictures", ("psnr", "ms_ssim"))
    means |= means_of({c: e for c, e in entries.items() if split(c)[0] == PICTURE_MODEL}, "", ("psnr", "ms_ssim"))
    sizes, rows = (0.2, 0.4), []
    family = PICTURE_MODEL.split("-v")[0]
    models = {split(codec)[0] for codec in means if split(codec)[0].startswith(family)}
    for base in sorted(models, key=lambda name: (len(name), name), reverse=True):
        lines = [means.get(f"{base}@{size:g}") for size in sizes]
        rows.append([base, *(f"{m['psnr']:.2f} / {m['ms_ssim']:.3f}" if m else "" for m in lines)])
    return table(["model", *(f"{size:g} bits per pixel" for size in sizes)], rows)


def origin_table(entries: dict[str, Entry]) -> str:
    """What was measured when, with what."""
    groups: dict[tuple[str, ...], list[str]] = {}
    for codec, entry in entries.items():
        base, _, setting = split(codec)
        kind = "values of every file" if entry.get("columns") else "means alone"
        key = (base, kind, entry["model"], entry["version"], entry["date"])
        groups.setdefault(key, []).append(setting)
    rows = [
        [base, ", ".join(s), kind, model, version, date] for (base, model, version, date, kind), s in groups.items()
    ]
    return table(["codec", "settings", "kept", "fingerprint", "josiecodec", "measured"], rows)


def summary(audio: dict[str, Entry], pictures: dict[str, Entry], video: list[dict]) -> str:
    """What the tables say, in a sentence for each kind of media."""
    by_rate, levels = (points for _, points in audio_curves(audio))
    speech = [f"{PEERS[p]} {percent(of_entries(audio, peer_points(audio, p), points, 'speech', 'kbps', 'pesq_wb'))}"
              for p, points in (("opus", by_rate), ("codec2", levels))]  # fmt: skip
    own = [f"{PICTURE_MODEL}@{size:g}" for size in SIZES]
    still = []
    for base, title in PICTURE_PEERS.items():
        found = [picture_bd(pictures, base, own, "photographs", name) for name in ("psnr", "ms_ssim")]
        if any(found):
            still.append(f"{title} {' / '.join(map(percent, found))}")
    films = []
    for codec, title in list(VIDEO_CODECS.items())[1:]:
        means = [of_clips(video, codec, "josiecodec", name)[0] for name in ("psnr", "ms_ssim")]
        films.append(f"{title} {' / '.join(percent((mean, None)) for mean in means)}")
    lines = [f"Speech, by PESQ-WB, against {', '.join(speech)}."]
    lines += [f"Photographs, by PSNR / MS-SSIM, against {', '.join(still)}."]
    lines += [f"Video, by PSNR / MS-SSIM, against {', '.join(films)}."]
    return "".join(f"- {line}\n" for line in lines)


def percent(found: BdRate | None) -> str:
    return "none" if found is None else f"{found[0]:+z.0f} %"


def page(template: str, parts: dict[str, Callable[[], str]]) -> str:
    """The template with its parts filled in, `{{name}}` each on a line of its own."""
    for name, make in parts.items():
        template = template.replace("{{" + name + "}}\n", make())
    return template


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--audio", type=Path, help="folder of `josiecodec eval audio --out`")
    parser.add_argument("--pictures", type=Path, help="folder of `josiecodec eval vision --out`, of pictures")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "results.md")
    args = parser.parse_args()
    for folder, path in ((args.audio, AUDIO), (args.pictures, PICTURES)):
        if folder:
            entries, unfinished = entries_of(folder)
            write(path, ABOUT[path], entries)
            for codec in unfinished:
                print(f"{codec}: not all files of {folder} were compared; left out")
    write_bytes(args.out, text().encode())
    README.write_text(readme(README.read_text(encoding="utf-8")), encoding="utf-8")


def readme(text: str) -> str:
    """README.md with the tables between `<!-- results: NAME -->` and `<!-- end -->` written anew."""
    audio, pictures, video = read(AUDIO), read(PICTURES), read_video(RESULTS / "video.json")
    parts = {
        "speech": lambda: own_table(audio),
        "speech beside": lambda: beside_table(audio),
        "photographs": lambda: size_table(pictures),
        "video": lambda: video_bd(video),
    }

    def filled(found: re.Match[str]) -> str:
        return f"{found[1]}\n{parts[found[2]]()}{found[3]}"

    return re.sub(r"(<!-- results: ([a-z ]+) -->)\n.*?(<!-- end -->)", filled, text, flags=re.DOTALL)


def own_table(entries: dict[str, Entry]) -> str:
    """Points of ours for speech."""
    means = means_of({c: e for c, e in entries.items() if split(c)[0] == AUDIO_MODEL}, "speech", ("kbps", *SPEECH))
    rows = []
    for codec, m in sorted(means.items(), key=lambda pair: pair[1]["kbps"]):
        setting = split(codec)[2]
        name = f"by frame, `--kbps {float(setting[:-1]):.1f}`" if setting.endswith("k") else setting
        scores = [f"{m['pesq_wb']:.2f}", f"{m['stoi']:.3f}", f"{m['si_sdr']:+.1f} dB", f"{m['mel']:.2f}"]
        rows.append([name + (" (default)" if setting == "9" else ""), f"{m['kbps']:.2f}", *scores])
    return table(["levels", "kbit/s", "PESQ-WB", "STOI", "SI-SDR", "mel distance"], rows)


def beside_table(entries: dict[str, Entry]) -> str:
    """Some points of ours and of others."""
    means = means_of({c: entries[c] for c in BESIDE if c in entries}, "speech", ("kbps", "pesq_wb", "stoi"))
    rows = [
        [audio_name(codec), f"{m['kbps']:.2f}", f"{m['pesq_wb']:.2f}", f"{m['stoi']:.3f}"]
        for codec, m in sorted(means.items(), key=lambda pair: pair[1]["kbps"])
    ]
    return table(["codec", "kbit/s", "PESQ-WB", "STOI"], rows)


def size_table(entries: dict[str, Entry]) -> str:
    """PSNR of photographs at each size."""
    means = means_of(entries, "photographs", ("psnr",))
    most = max(line["files"] for line in means.values())
    formats = {PICTURE_MODEL: PICTURE_MODEL, **PICTURE_PEERS}
    shown = {base: title for base, title in formats.items() if any(split(c)[0] == base for c in means)}
    rows = []
    for size in SIZES:
        lines = [means.get(f"{base}@{size:g}" + ("" if base == PICTURE_MODEL else "bpp")) for base in shown]
        rows.append([f"{size:g}", *(f"{m['psnr']:.1f}" if m and m["files"] >= 0.95 * most else "" for m in lines)])
    return table(["bits per pixel", *shown.values()], rows)


def text() -> str:
    """The page, from the files of results."""
    audio, pictures, video = read(AUDIO), read(PICTURES), read_video(RESULTS / "video.json")
    now = {codec: entry for codec, entry in audio.items() if split(codec)[0] in (AUDIO_MODEL, *PEERS)}
    template = (Path(__file__).parent / "results_page.md").read_text(encoding="utf-8")
    return page(
        template,
        {
            "summary": lambda: summary(now, pictures, video),
            "speech": lambda: audio_table(now, "speech"),
            "speech_bd": lambda: audio_bd(now, "speech"),
            "music": lambda: audio_table(now, "music"),
            "music_bd": lambda: audio_bd(now, "music"),
            "photographs": lambda: picture_table(pictures, "photographs"),
            "fixed": lambda: fixed_table(pictures),
            "screens": lambda: picture_table(pictures, "screens"),
            "video": lambda: video_table(video),
            "video_bd": lambda: video_bd(video),
            "earlier_audio": lambda: earlier_audio(audio),
            "earlier_pictures": lambda: earlier_pictures(pictures),
            "origin": lambda: origin_table({**audio, **pictures}),
        },
    )


if __name__ == "__main__":
    main()
