"""What `pip install` adds to the package: the page in a browser, where it was built (`npm run build` in `web/`)."""

from __future__ import annotations

import shutil
from pathlib import Path

from setuptools.command.build_py import build_py

BUILT = Path(__file__).parent / "web" / "dist"


class WithPage(build_py):
    """Copies the page beside the modules; without one the package is complete but for `josiecodec serve`."""

    def run(self) -> None:
        """Build."""
        super().run()
        target = Path(self.build_lib) / "josiecodec" / "page"
        shutil.rmtree(target, ignore_errors=True)  # of an earlier build
        if not self.editable_mode and (BUILT / "index.html").is_file():
            shutil.copytree(BUILT, target, ignore=shutil.ignore_patterns("models"))
