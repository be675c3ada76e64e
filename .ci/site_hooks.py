"""Pages of the site that are files of the repository, and links that lead out of the site."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]
COPIED = {"index.md": "README.md", "changelog.md": "CHANGELOG.md", "contributing.md": "CONTRIBUTING.md"}
LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)#:\s]+)(#[^)]*)?\)")


def on_files(files: Files, config: Any) -> Files:
    """Add the copied files, with links as they are seen from `docs`."""
    for name, source in COPIED.items():
        text = LINK.sub(_from_docs, (ROOT / source).read_text(encoding="utf-8"))
        files.append(File.generated(config, name, content=text))
    return files


def _from_docs(link: re.Match[str]) -> str:
    mark, text, target, anchor = link.groups(default="")
    pages = {source: name for name, source in COPIED.items()}
    inside = pages.get(target) or (target.removeprefix("docs/") if target.startswith("docs/") else f"../{target}")
    return f"{mark}[{text}]({inside}{anchor})"


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """What lies outside of the site becomes its path in the repository; it has to be there."""
    folder = (ROOT / "docs" / page.file.src_uri).parent

    def outside(link: re.Match[str]) -> str:
        _, text, target, _ = link.groups(default="")
        path = (folder / target).resolve()
        if path.is_relative_to(ROOT / "docs"):
            return link[0]
        if not path.exists():
            raise FileNotFoundError(f"{page.file.src_uri}: {target}")
        for name, source in COPIED.items():
            if path == ROOT / source:
                return f"[{text}]({'../' * (len(folder.relative_to(ROOT / 'docs').parts))}{name})"
        shown = str(path.relative_to(ROOT))
        return f"`{shown}`" if text in (shown, path.name, shown.removesuffix("/")) else f"{text} (`{shown}`)"

    return LINK.sub(outside, markdown)
