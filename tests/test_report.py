"""docs/results.md and the tables of the README are those of the files of results, and models do not mix there."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from josiecodec import shipped
from josiecodec.evaluation.codecs import AUDIO, VISION, known_names
from josiecodec.files import DEFAULTS

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "benchmarks"))  # no package that is installed

import report  # noqa: E402
import results_files  # noqa: E402
from results_bd import of_clips, of_entries  # noqa: E402
from results_files import ResultsError, entries_of, kept_of, means_of, read, rows_of, write  # noqa: E402
from results_video import read_video  # noqa: E402

VIDEO = report.RESULTS / "video.json"


def audio_rows(codec: str, quality: float, model: str = "", version: str = "1") -> list[dict]:
    """Rows of five recordings as `josiecodec eval` writes them."""
    return [
        {"codec": codec, "file": f"{n}.wav", "label": "speech", "version": version, "date": f"2026-01-0{n + 1}",
         "model": model, "seconds": 2.0, "encode_cpu_s": 0.5, "decode_cpu_s": 0.25, "kbps": 6.0 + quality + n,
         "pesq_wb": quality + 0.1 * n, "unscored": []}
        for n in range(5)
    ]  # fmt: skip


def folder_of(path: Path, rows: list[dict]) -> Path:
    path.mkdir()
    (path / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n")
    return path


def test_the_page_is_that_of_the_files():
    page = (ROOT / "docs" / "results.md").read_text(encoding="utf-8")
    audio, pictures, video = read(report.AUDIO), read(report.PICTURES), read_video(VIDEO)
    now = {c: e for c, e in audio.items() if c.split("@")[0] in (report.AUDIO_MODEL, *report.PEERS)}
    again = "run: python benchmarks/report.py"
    for label in ("speech", "music"):
        assert report.audio_table(now, label) in page, again
    assert report.earlier_audio(audio) in page, again
    assert report.earlier_pictures(pictures) in page, again
    assert report.video_table(video) in page, again
    assert report.video_bd(video) in page, again
    assert report.origin_table({**audio, **pictures}) in page, again
    assert "{{" not in page


def test_tables_of_the_readme_are_those_of_the_files():
    text = report.README.read_text(encoding="utf-8")
    assert report.readme(text) == text, "run: python benchmarks/report.py"
    assert text.count("<!-- results: ") == text.count("<!-- end -->") > 1


def test_the_page_is_of_what_is_used_by_default():
    assert {"audio": report.AUDIO_MODEL, "vision": report.PICTURE_MODEL} == DEFAULTS
    assert set(report.PEERS) <= set(known_names(AUDIO))
    assert set(report.PICTURE_PEERS) <= set(known_names(VISION))


def test_the_table_of_videos_is_that_of_their_file():
    import video

    table = (report.RESULTS / "video.md").read_text(encoding="utf-8")
    assert table == video.field_table(json.loads(VIDEO.read_text())), "write video.json and video.md together"


def test_a_comparison_becomes_results(tmp_path):
    rows = [*audio_rows("opus@6", 2.0), *audio_rows("opus@9", 3.0), *audio_rows("mp3@8", 1.5)[:3]]
    rows.append(audio_rows("mp3@8", 1.5)[3] | {"error": "no"})
    entries, unfinished = entries_of(folder_of(tmp_path / "out", rows))
    assert unfinished == ["mp3@8"]
    assert entries["opus@6"]["date"] == "2026-01-05"
    file = tmp_path / "audio.json"
    write(file, "some", entries)
    write(file, "some", {"codec2@1200": {"version": "0", "date": "d", "model": "", "means": [
        {"label": "speech", "files": 5, "kbps": 1.2, "pesq_wb": 1.4}]}})  # fmt: skip
    again = read(file)
    assert [row["pesq_wb"] for row in rows_of(again)][:5] == [2.0, 2.1, 2.2, 2.3, 2.4]
    assert kept_of(again)[0]["codec"] == "codec2@1200"
    means = means_of(again, "speech", ("pesq_wb", "encode"))
    assert means["opus@6"]["pesq_wb"] == pytest.approx(2.2)
    assert means["opus@6"]["encode"] == pytest.approx(0.25)  # per second of sound
    assert 0 < means["opus@6"]["pesq_wb_half"] < 0.2
    assert means["codec2@1200"]["pesq_wb"] == 1.4


def test_weights_that_do_not_ship_are_refused(tmp_path):
    own = f"{report.AUDIO_MODEL}@9"
    right = shipped.fingerprint_of(shipped.WEIGHTS / report.AUDIO_MODEL)[:16]
    file = tmp_path / "audio.json"
    for model, good in ((right, True), ("0123456789abcdef", False), ("", False)):
        entries, _ = entries_of(folder_of(tmp_path / (model or "none"), audio_rows(own, 2.0, model)))
        write(file, "some", entries)
        if good:
            assert read(file)
        else:
            with pytest.raises(ResultsError, match=f"{own} was measured with other weights"):
                read(file)
    mixed = [*audio_rows(own, 2.0, right)[:2], *audio_rows(own, 2.0, right, version="2")[2:]]
    with pytest.raises(ResultsError, match="different versions"):
        entries_of(folder_of(tmp_path / "mixed", mixed))
    for nothing in (tmp_path / "nosuch", tmp_path / "nosuch.json"):
        with pytest.raises(ResultsError, match="no r"):
            read(nothing) if nothing.suffix else entries_of(nothing)


def test_bd_rates_with_and_without_values_of_files(tmp_path):
    rows = [r for q in (2.0, 3.0, 4.0) for r in audio_rows(f"opus@{q:g}", q)]
    rows += [{**r, "codec": r["codec"].replace("opus", "mp3"), "kbps": 2 * r["kbps"]} for r in rows]
    entries, _ = entries_of(folder_of(tmp_path / "out", rows))
    opus, mp3 = ([f"{name}@{q}" for q in (2, 3, 4)] for name in ("opus", "mp3"))
    value, ends = of_entries(entries, opus, mp3, "speech", "kbps", "pesq_wb")
    assert value == pytest.approx(100, abs=0.1)
    assert ends == pytest.approx((100, 100), abs=0.1)
    means = means_of(entries, "speech", ("kbps", "pesq_wb"))
    kept = {c: {"model": "", "means": [{"label": "speech", **means[c]}]} for c in mp3}
    assert of_entries(entries | kept, opus, mp3, "speech", "kbps", "pesq_wb") == (pytest.approx(100, abs=0.1), None)
    assert of_entries(entries, opus, mp3, "speech", "kbps", "stoi") is None
    assert of_entries(entries, [], mp3, "speech", "kbps", "pesq_wb") is None


def test_videos_of_two_models_are_refused(tmp_path):
    rows = json.loads(VIDEO.read_text())
    file = tmp_path / "video.json"
    ours = next(row for row in rows if row["codec"] == "josiecodec")
    for change, text in (({"version": "9"}, "several models"), ({"wanted": 61.0}, "no row of")):
        file.write_text(json.dumps([row | change if row is ours else row for row in rows]))
        with pytest.raises(ResultsError, match=text):
            read_video(file)
    mean, ends, clips = of_clips(rows, "x264", "x264", "psnr")
    assert (mean, ends) == (pytest.approx(0), pytest.approx((0, 0)))
    assert len(clips) == 5


def test_pictures_are_photographs_or_screens():
    row = {"file": "g22.png", "label": "image", "bpp": 0.2, "encode_cpu_s": 1.0, "decode_cpu_s": 0.1, "psnr": 30.0}
    assert results_files._flat(row) == {
        "file": "g22.png", "label": "screens", "bpp": 0.2, "psnr": 30.0, "encode": 1.0, "decode": 0.1}  # fmt: skip
    assert results_files._flat(row | {"file": "a/p01.png"})["label"] == "photographs"
