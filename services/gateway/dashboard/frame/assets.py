"""The style sheet, the script and the icon: read once, served under names that change with their content."""

import hashlib
import mimetypes
from pathlib import Path
from typing import Final, NamedTuple

from litestar import Response, get
from litestar.di import NamedDependency
from litestar.params import FromPath

from services.gateway.scopes import OPT, PUBLIC
from shared.errors import NotFound

FOLDER: Final = Path(__file__).parents[1] / "static"
FOREVER: Final = "public, max-age=31536000, immutable"


class Asset(NamedTuple):
    """A file's bytes and what they are."""

    body: bytes
    media_type: str


class Assets:
    """All files of the folder by their name on the wire."""

    def __init__(self, base: str, folder: Path = FOLDER) -> None:
        """Reads the folder. `base` is the path that they are served under."""
        self._base = base
        self._names: dict[str, str] = {}
        self._files: dict[str, Asset] = {}
        for path in sorted(folder.iterdir()):
            body = path.read_bytes()
            name = f"{path.stem}.{hashlib.sha256(body).hexdigest()[:12]}{path.suffix}"
            self._names[path.name] = name
            self._files[name] = Asset(body, mimetypes.guess_type(path.name)[0] or "application/octet-stream")

    def url(self, name: str) -> str:
        """Where a file is found. Raises KeyError."""
        return f"{self._base}/static/{self._names[name]}"

    def file(self, name: str) -> Asset:
        """A file by its name on the wire. Raises NotFound."""
        found = self._files.get(name)
        if found is None:
            raise NotFound
        return found


@get("/static/{name:str}", opt={OPT: PUBLIC}, include_in_schema=False, sync_to_thread=False)
def static(name: FromPath[str], assets: NamedDependency[Assets]) -> Response[bytes]:
    """One file, which never changes under this name."""
    found = assets.file(name)
    return Response(found.body, media_type=found.media_type, headers={"Cache-Control": FOREVER})
