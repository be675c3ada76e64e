"""`josielm generate`."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from josiecodec_cli.options import Path_, common, use_device

from .options import AMOUNT, drawn, refuse_to_replace, sampling

if TYPE_CHECKING:
    from torch import Tensor

    from josielm.model.language_model import Inputs
    from josielm.store import Trained


@click.command()
@click.argument("model", type=Path_)
@click.argument("target", type=Path_, required=False)
@click.option("--seconds", type=AMOUNT, default=5.0, show_default=True, help="Length to generate.")
@click.option("--prompt", type=Path_, help="Audio or .josie file to continue; TARGET begins with it.")
@click.option("--text", help="Text to speak.")
@click.option("--chat", help="What the user says, in turn mode; the answer is printed, its audio goes to TARGET.")
@click.option("--image", type=Path_, help="Image that the model is shown first.")
@click.option("--codec", help="Name or folder of the codec, if it does not ship with the package.")
@click.option("--overwrite", is_flag=True, help="Replace TARGET if it exists.")
@drawn
@common
def generate(
    model: Path,
    target: Path | None,
    seconds: float,
    prompt: Path | None,
    text: str | None,
    chat: str | None,
    image: Path | None,
    codec: str | None,
    overwrite: bool,
    seed: int,
    device: str,
    threads: int | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Generate audio with the model in the folder MODEL; TARGET is a .josie or audio file, by its suffix."""
    from josielm.data.chat import Turn
    from josielm.inference.generate import generate as make
    from josielm.inference.generate import reply
    from josielm.store import load, load_codec

    if target is None and chat is None:
        raise click.UsageError("give a TARGET")
    if chat is not None and (prompt or text or image):
        raise click.UsageError("--chat cannot be combined with --prompt, --text or --image")
    refuse_to_replace(target, overwrite)
    how = sampling(options)
    device = use_device(device, threads)
    trained = load(model, device)
    frames = max(math.ceil(round(seconds * trained.frame_rate, 6)), 1)
    audio_codec: Any = load_codec(trained.codec, codec, device) if target or prompt else None
    if chat is not None:
        said, codes = reply(trained, [Turn("user", chat)], frames, seed, how, audio=target is not None)
    else:
        before = None if prompt is None else _codes(trained, audio_codec, prompt)
        begun = 0 if before is None else before.shape[-1]
        done = make(trained, begun + frames, [seed], how, before, text, vision=_shown(trained, image, device))
        codes = done.codes
        said = "" if done.text is None or trained.rows is None else trained.rows.decode(done.text[0].tolist())
    if target is not None:
        length = codes.shape[-1] * audio_codec.frame_size
        if chat is None:  # as long as was asked for, to the sample
            length -= frames * audio_codec.frame_size - round(seconds * audio_codec.sample_rate)
        _write(audio_codec, codes, length, target)
        made = length / audio_codec.sample_rate
    else:
        made = codes.shape[-1] / trained.frame_rate
    if as_json:
        click.echo(json.dumps({"seconds": round(made, 3), "text": said, "output": target and str(target)}))
    else:
        click.echo("\n".join(filter(None, [said, f"{target}: {made:.2f} s" if target else ""])))


def _codes(trained: Trained, codec: Any, path: Path) -> Tensor:
    """Codes [1, K, T] of a prompt."""
    import numpy as np
    import torch

    from josiecodec.bitstream.header import find_stream
    from josiecodec.bitstream.josie_file import TokenFile
    from josiecodec.errors import ModelError
    from josiecodec.media.audio_reader import load_audio

    n_q = trained.model.config.n_q
    if path.suffix.lower() != ".josie":
        samples = load_audio(path, codec.sample_rate).samples
        return codec.encode(samples[None].to(codec.device), n_q)
    file = TokenFile.read(path, tables=codec.known_tables)
    stream = file.streams[find_stream([s.info for s in file.streams], "audio")]
    codec.check_stream(stream.info)
    if stream.info.levels < n_q:
        raise ModelError(f"{path}: has {stream.info.levels} levels, the model needs {n_q}")
    codes = torch.from_numpy(np.asarray(stream.codes).astype(np.int64))
    return codes[None, :n_q].to(codec.device)


def _shown(trained: Trained, image: Path | None, device: str) -> Inputs | None:
    """An image as what is shown before the first frame."""
    if image is None:
        return None
    from josiecodec.errors import ModelError
    from josiecodec.media.images import load_image
    from josielm.data.vision import picture_inputs, shrunk
    from josielm.store import load_codec

    config = trained.model.config.vision
    if config is None or trained.vision is None:
        raise ModelError(f"{trained.model.config.name} was not trained with pictures")
    codec = load_codec(trained.vision, device=device)
    pixels = shrunk(load_image(image), codec.patch, config.max_patches)
    return picture_inputs(codec.encode(pixels[None].to(device), config.n_q), config)


def _write(codec: Any, codes: Tensor, length: int, target: Path) -> None:
    import numpy as np

    from josiecodec.bitstream.josie_file import TokenFile, TokenStream
    from josiecodec.media.audio_writer import AudioWriter

    target.parent.mkdir(parents=True, exist_ok=True)
    if target.suffix.lower() == ".josie":
        info = codec.stream_info(codes.shape[1], length)
        rows = codes[0].cpu().numpy().astype(np.uint16)
        TokenFile([TokenStream(info, rows)]).write(target, codec.known_tables)
        return
    with AudioWriter(target, codec.sample_rate) as writer:
        writer.write(codec.decode(codes, length)[0])
