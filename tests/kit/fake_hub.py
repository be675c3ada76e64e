"""A Hugging Face hub of one's own: enough of its protocol to fetch from and to commit to, and its cache on disk."""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

COMMIT = "a" * 40


def blob_name(data: bytes) -> str:
    """The hash under which the hub knows a file: git's of a small one, else sha256."""
    if len(data) < 1000:
        return hashlib.sha1(f"blob {len(data)}\0".encode() + data).hexdigest()
    return hashlib.sha256(data).hexdigest()


def fill_cache(cache: Path, repository: str, folder: Path, commit: str = COMMIT) -> Path:
    """Put the files of a folder into a cache as huggingface_hub lays it out; returns the snapshot."""
    place = cache / f"models--{repository.replace('/', '--')}"
    snapshot = place / "snapshots" / commit
    for part in (place / "blobs", place / "refs", snapshot):
        part.mkdir(parents=True, exist_ok=True)
    (place / "refs" / "main").write_text(commit)
    for path in folder.iterdir():
        blob = place / "blobs" / blob_name(path.read_bytes())
        shutil.copy(path, blob)
        (snapshot / path.name).symlink_to(blob)
    return snapshot


class FakeHub(ThreadingHTTPServer):
    """Repositories in memory: name -> file -> bytes."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, dict[str, bytes]] = {}
        self.asked: list[str] = []
        self.made: dict[str, dict] = {}
        self.refuses = False
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    server: FakeHub
    protocol_version = "HTTP/1.1"

    def log_message(self, *args: object) -> None:
        """Quiet."""

    def do_HEAD(self) -> None:
        self.resolve()

    def do_GET(self) -> None:
        parts = self.path.split("?")[0].strip("/").split("/")
        if parts[:2] == ["api", "models"] and parts[4:5] == ["tree"]:
            files = self.server.files["/".join(parts[2:4])]
            rows = [{"type": "file", "path": n, "size": len(d), "oid": blob_name(d)} for n, d in files.items()]
            self.say(rows)
        else:
            self.resolve()

    def resolve(self) -> None:
        self.server.asked.append(self.path)
        owner, name, *rest = self.path.strip("/").split("/")
        files = self.server.files.get(f"{owner}/{name}")
        if files is None or not rest or rest[0] != "resolve":
            self.answer(404, b"", {"X-Error-Code": "RepoNotFound"})
        elif rest[2] not in files:
            self.answer(404, b"", {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": COMMIT})
        else:
            data = files[rest[2]]
            self.answer(200, data, {"X-Repo-Commit": COMMIT, "ETag": f'"{blob_name(data)}"'})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.asked.append(self.path)
        parts = self.path.strip("/").split("/")
        if self.server.refuses:
            self.answer(403, b'{"error": "no"}', {"X-Error-Message": "you may not write here"})
        elif self.path == "/api/repos/create":
            wanted = json.loads(body)
            repository = f"{wanted.get('organization', 'me')}/{wanted['name']}"
            self.server.made[repository] = wanted
            self.server.files.setdefault(repository, {})
            self.say({"url": f"{self.server.address}/{repository}"})
        elif parts[-2] == "preupload":
            names = [f["path"] for f in json.loads(body)["files"]]
            self.say({"files": [{"path": n, "uploadMode": "regular", "shouldIgnore": False} for n in names]})
        elif parts[-2] == "commit":
            files = self.server.files["/".join(parts[2:4])]
            for line in map(json.loads, body.splitlines()):
                if line["key"] == "file":
                    files[line["value"]["path"]] = base64.b64decode(line["value"]["content"])
                elif line["key"] == "deletedFile":
                    files.pop(line["value"]["path"], None)
            self.say({"commitOid": COMMIT, "commitUrl": f"{self.server.address}/me/x/commit/{COMMIT}"})
        else:
            self.say({"warnings": [], "errors": []})

    def say(self, values: dict | list) -> None:
        self.answer(200, json.dumps(values).encode(), {"Content-Type": "application/json"})

    def answer(self, code: int, data: bytes, headers: dict[str, str]) -> None:
        self.send_response(code)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)
