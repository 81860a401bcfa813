"""Static files: read once, served from memory under one folder that is named after their content."""

import gzip
import hashlib
import mimetypes
import re
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

from fastapi import Request, Response

from services.kernel.errors import NotFound

FOLDER: Final = Path(__file__).parent / "static"
_COMPRESSED: Final = frozenset({".css", ".js", ".svg"})
_FONT_FACE: Final = re.compile(rb"@font-face\s*{[^}]*}")
"""The design system's font faces lead to whole fonts; `fonts.css` has the parts of them instead."""
_TYPES: Final = {
    ".woff2": "font/woff2",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
}
_SERVED: Final = frozenset({".css", ".js", ".svg", ".png", ".woff2", ".txt", ".ico"})


class StaticFile(NamedTuple):
    """Content of a file, compressed too where that helps, and its media type."""

    content: bytes
    compressed: bytes | None
    media_type: str


class StaticFiles:
    """All static files; a browser keeps each for a year, and a new release has another folder."""

    def __init__(self, folder: Path = FOLDER) -> None:
        """Read every file of the folder."""
        self._files = {
            str(path.relative_to(folder)): _read(path)
            for path in sorted(folder.rglob("*"))
            if path.suffix in _SERVED
        }
        digest = hashlib.sha256()
        for name, file in self._files.items():
            digest.update(name.encode() + b"\0" + hashlib.sha256(file.content).digest())
        self.digest = digest.hexdigest()[:16]

    def url(self, name: str) -> str:
        """Return the address of a file; raises `KeyError` for one that does not exist."""
        if name not in self._files:
            raise KeyError(name)
        return f"/static/{self.digest}/{name}"

    def content(self, name: str) -> bytes:
        """Return a file as it is served; raises `KeyError` for one that does not exist."""
        return self._files[name].content

    def response(self, request: Request, digest: str, name: str) -> Response:
        """Return a file; raises `NotFound` for another release's and for what does not exist."""
        file = self._files.get(name)
        if file is None or digest != self.digest:
            raise NotFound
        headers = {"Cache-Control": "public, max-age=31536000, immutable", "Vary": "Accept-Encoding"}
        if file.compressed is not None and "gzip" in request.headers.get("accept-encoding", ""):
            return Response(
                file.compressed, media_type=file.media_type, headers={**headers, "Content-Encoding": "gzip"}
            )
        return Response(file.content, media_type=file.media_type, headers=headers)


def _read(path: Path) -> StaticFile:
    content = path.read_bytes()
    if path.suffix == ".css" and "vendor" in path.parts:
        content = _FONT_FACE.sub(b"", content)
    media_type = _TYPES.get(path.suffix) or mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    compressed = gzip.compress(content, mtime=0) if path.suffix in _COMPRESSED else None
    return StaticFile(content, compressed, media_type)


@cache
def static_files() -> StaticFiles:
    """Return the portal's static files, read at the first call."""
    return StaticFiles()
