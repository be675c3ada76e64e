"""Publishing a codec in a repository of the Hugging Face hub, with a model card."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from ..atomic import write_bytes
from ..audio.config import JodioConfig
from ..coding.codec import TokenCodec
from ..errors import ModelError
from ..fingerprint import ENCODER_FILE, TABLES_FILE
from .config_files import Layout
from .remote import PREFIX, first_line, hub_errors, huggingface_hub
from .store import KYUTAI_FILE, load, save_pretrained

CARD = "README.md"


def push_to_hub(
    codec: TokenCodec,
    repository: str,
    *,
    private: bool = False,
    layout: Layout = "josiecodec",
    licence: str | None = None,
    card: str | None = None,
    revision: str | None = None,
    token: str | None = None,
    message: str = "A codec",
) -> str:
    """Publish a codec; the repository is made if it is not there.

    Args:
        codec: the model.
        repository: "org/name".
        private: whether a new repository is to be private.
        layout: see `josiecodec.hub.store.save`.
        licence: identifier for the card, as the hub knows it ("mit", "cc-by-4.0").
        card: text of the card (Markdown, may begin with metadata); None for `model_card`, which does not replace a
            card that the repository has.
        revision: branch to commit to.
        token: of the hub; None for the one that the machine is logged in with.
        message: of the commit.

    Returns:
        the address of the repository.

    Raises:
        ModelError: if the hub refuses or cannot be reached, or the layout is not for this model.
    """
    api = huggingface_hub().HfApi(token=token)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        written = save_pretrained(codec, folder, layout)
        try:
            address = str(api.create_repo(repository, private=private, exist_ok=True))
            if card is not None or not api.file_exists(repository, CARD, revision=revision):
                text = model_card(load(written), repository, layout, licence) if card is None else card
                write_bytes(folder / CARD, text.encode())
            api.upload_folder(
                repo_id=repository,
                folder_path=folder,
                revision=revision,
                commit_message=message,
                delete_patterns=None if layout == "kyutai" else [TABLES_FILE, ENCODER_FILE],  # of the model before
            )
        except hub_errors() as error:
            raise ModelError(f"{PREFIX}{repository}: {first_line(error)}") from None
    return address


def push_folder(folder: Path, repository: str, kind: str, private: bool = False, token: str | None = None) -> str:
    """Publish the files of a folder in a repository, which is made if it is not there. Returns its address.

    Args:
        folder: of the files.
        repository: "org/name".
        kind: of the repository, "model" or "dataset".
        private: whether a new repository is to be private.
        token: of the hub; None for the one that the machine is logged in with.

    Raises:
        ModelError: if the hub refuses or cannot be reached.
    """
    api = huggingface_hub().HfApi(token=token)
    try:
        address = str(api.create_repo(repository, repo_type=kind, private=private, exist_ok=True))
        api.upload_folder(repo_id=repository, repo_type=kind, folder_path=folder, commit_message=f"A {kind}")
    except hub_errors() as error:
        raise ModelError(f"{PREFIX}{repository}: {first_line(error)}") from None
    return address


def model_card(codec: TokenCodec, repository: str, layout: Layout = "josiecodec", licence: str | None = None) -> str:
    """The text of a model card: what the codec, as it was loaded, is, how to use it, and its fingerprint."""
    name = PREFIX + repository + (f"/{KYUTAI_FILE}" if layout == "kyutai" else "")
    audio = isinstance(codec.config, JodioConfig)
    tags = ["neural-codec", "tokenizer", "audio-codec" if audio else "image-codec"]
    library = "transformers" if layout == "transformers" else "josiecodec"
    head = [f"library_name: {library}", f"tags: {json.dumps(tags)}"]
    if audio:
        head.append("pipeline_tag: audio-to-audio")
    if licence:
        head.insert(0, f"license: {json.dumps(licence)}")
    source, target = ("talk.wav", "talk.josie") if audio else ("photo.jpg", "photo.josie")
    parameters = sum(p.numel() for p in codec.parameters()) / 1e6
    return "\n".join(
        [
            "---",
            *head,
            "---",
            "",
            f"# {repository.split('/')[-1]}",
            "",
            f"{_what(codec)} {parameters:.1f} million parameters.",
            "",
            "```sh",
            'pip install "josiecodec[hub]"',
            f"josiecodec encode {source} {target} --model {name}",
            f"josiecodec decode {target} back{Path(source).suffix} --model {name}",
            "```",
            "",
            "```python",
            "import josiecodec",
            "",
            f'codec = josiecodec.load("{name}")',
            "```",
            "",
            f"Fingerprint of configuration and weights: `{codec.fingerprint}`. Files that this model made carry "
            "its first 16 digits, and no other model decodes them.",
            "",
        ]
    )


def _what(codec: TokenCodec) -> str:
    """One line on what a codec is."""
    config = codec.config
    if not isinstance(config, JodioConfig):
        size, patch = config.quantizer.codebook_size, config.patch
        return (
            f"A codec of images and video ({config.name}): 1 to {codec.n_q} levels of {size} codes for every patch "
            f"of {patch} x {patch} pixels."
        )
    rate = config.sample_rate / config.frame_size
    bits = (config.quantizer.codebook_size - 1).bit_length() * rate / 1000
    layer = f" and {config.waveform.levels} of the low band's waveform" if config.waveform else ""
    return (
        f"An audio codec ({config.name}): {config.sample_rate} Hz mono, {rate:g} frames per second, one semantic and "
        f"up to {config.base_levels - 1} acoustic levels{layer} of {config.quantizer.codebook_size} codes, {bits:g} to "
        f"{bits * codec.n_q:g} kbit/s, {bits * config.encoding.n_q:g} at the default of {config.encoding.n_q} levels."
    )
