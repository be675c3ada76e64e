"""Names of tensors in files, where networks call them otherwise. Those in files stay for good, in every format."""

from __future__ import annotations

# How names begin: in files -> as attributes of the network.
_ATTRIBUTES = {
    "semantic_rvq.": "quantizer.semantic_vq.",
    "acoustic_rvq.": "quantizer.acoustic_rvq.",
    "decoder.coarseness.": "decoder.level_embedding.",
}


def file_name(attribute: str) -> str:
    """The name in files of a tensor that `state_dict` calls `attribute`."""
    for in_files, in_networks in _ATTRIBUTES.items():
        if attribute.startswith(in_networks):
            return in_files + attribute.removeprefix(in_networks)
    return attribute


def attribute_name(name: str) -> str:
    """The inverse of `file_name`."""
    for in_files, in_networks in _ATTRIBUTES.items():
        if name.startswith(in_files):
            return in_networks + name.removeprefix(in_files)
    return name
