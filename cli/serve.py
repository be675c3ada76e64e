"""`serve`: the page that encodes and decodes in a browser."""

from __future__ import annotations

import sys
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import click

from josiecodec.errors import CodecError

from .models import Models
from .options import Path_

if TYPE_CHECKING:
    from josiecodec.page_files import Page

TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript",
    ".mjs": "text/javascript",
    ".css": "text/css",
    ".json": "application/json",
    ".wasm": "application/wasm",
    ".svg": "image/svg+xml",
}
HEADERS = {
    # What a browser asks for before it gives a page threads.
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cache-Control": "no-cache",
    "X-Content-Type-Options": "nosniff",
}
HOST = "127.0.0.1"


@click.command()
@click.option("--port", type=click.IntRange(0, 65535), default=8000, show_default=True, help="0 for any that is free.")
@click.option("--to", type=Path_, help="Write the files to this folder, for any host of static files, and end.")
@click.option("--overwrite", is_flag=True, help="Replace files in the folder of --to.")
@click.option("--page", type=Path_, help="Folder that the page was built to.  [default: that of the package]")
def serve(port: int, to: Path | None, overwrite: bool, page: Path | None) -> None:
    """Open the page that encodes and decodes in the browser, on this machine alone."""
    from josiecodec.page_files import Page

    files = Page(page, Models.DEFAULTS)
    if to is not None:
        existing = next((to / name for name in files.names() if (to / name).exists()), None)
        if existing is not None and not overwrite:
            raise click.UsageError(f"{existing} already exists; --overwrite replaces it")
        size = files.write(to)
        click.echo(f"{to}: {size / 1e6:.0f} MB")
        return
    with server(files, port) as running:
        click.echo(f"http://{HOST}:{running.server_address[1]}/ (Ctrl-C ends)")
        running.serve_forever()


def server(files: Page, port: int) -> ThreadingHTTPServer:
    """A server of the files, which listens to this machine alone.

    Raises:
        CodecError: if the port is taken, or not allowed.
    """
    names = frozenset(files.names())

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._answer(True)

        def do_HEAD(self) -> None:
            self._answer(False)

        def _answer(self, whole: bool) -> None:
            name = unquote(urlsplit(self.path).path).removeprefix("/") or "index.html"
            if name not in names:  # which also keeps everything else of the machine out
                self.send_error(HTTPStatus.NOT_FOUND)
                return
            data = files.read(name)
            self.send_response(HTTPStatus.OK)
            self.send_header("Content-Type", TYPES.get(Path(name).suffix, "application/octet-stream"))
            self.send_header("Content-Length", str(len(data)))
            for header, value in HEADERS.items():
                self.send_header(header, value)
            self.end_headers()
            if whole:
                self.wfile.write(data)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing of each file."""

    try:
        return _Server((HOST, port), Handler)
    except OSError as error:
        raise CodecError(f"port {port}: {error.strerror}; --port 0 takes any that is free") from None


class _Server(ThreadingHTTPServer):
    """A browser that goes away in the middle of a file is no error."""

    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)
