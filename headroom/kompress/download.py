"""Fetching a model from the hub: only when the user says so, what was fetched before is kept, and all is checked."""

import hashlib
import json
import os
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any

from headroom.errors import ConfigurationError, ProviderError, StorageError
from headroom.kompress.published import repository_folder
from headroom.stores.files import file_lock

ENDPOINT = "https://huggingface.co"
SECONDS = 30.0
"""Longest silence of the hub."""
CHUNK = 1 << 18
TRIES = 5
"""How often a file is asked for again from where its transfer broke off."""
WAIT_SECONDS = 3600.0
"""How long another process that fetches the same is waited for."""
Progress = Callable[[str, int, int], None]
"""(file, bytes that are here, bytes in all), called as they come."""


@dataclass(frozen=True, slots=True)
class Remote:
    """A file of a repository: its size in bytes, and its SHA-256 or, of files kept in git itself, its git blob id."""

    name: str
    size: int
    sha256: str
    blob: str

    @property
    def tag(self) -> str:
        """The name of the file's content in the cache."""
        return self.sha256 or self.blob


def endpoint() -> str:
    """The hub: HF_ENDPOINT, else huggingface.co. Raises ConfigurationError for one that is no http address, and where
    HF_HUB_OFFLINE forbids the network."""
    if os.environ.get("HF_HUB_OFFLINE", "").strip().lower() in ("1", "true", "yes", "on"):
        raise ConfigurationError(
            "HF_HUB_OFFLINE forbids asking the hub; unset it to fetch a model", {"setting": "HF_HUB_OFFLINE"}
        )
    address = (os.environ.get("HF_ENDPOINT") or ENDPOINT).rstrip("/")
    if urllib.parse.urlsplit(address).scheme not in ("http", "https"):
        raise ConfigurationError(
            f"HF_ENDPOINT is {address!r}; expected an address with http or https",
            {"setting": "HF_ENDPOINT", "found": address, "expected": "http(s)://..."},
        )
    return address


def listing(repository: str, revision: str) -> tuple[str, dict[str, Remote]]:
    """The commit that ``revision`` names, and its files. Raises ProviderError when the hub does not say."""
    address = f"{endpoint()}/api/models/{repository}/revision/{urllib.parse.quote(revision, safe='')}?blobs=true"
    try:
        with _ask(address) as answer:
            said = json.load(answer)
        files = {file.name: file for file in map(_remote, said["siblings"])}
        return str(said["sha"]), files
    except urllib.error.HTTPError as error:
        raise ProviderError(f"The hub answers {error.code} for {repository}@{revision}.", {"url": address}) from error
    except (OSError, HTTPException) as error:
        raise ProviderError(f"The hub can't be reached ({error}): {address}", {"url": address}) from error
    except (ValueError, KeyError, TypeError) as error:
        raise ProviderError(f"The hub's answer about {repository} can't be read.", {"url": address}) from error


def download(
    repository: str, revision: str, wanted: Iterable[str], choices: Sequence[str], progress: Progress
) -> tuple[Path, list[str]]:
    """Fetch those files ``wanted`` that the repository has, and the first of ``choices`` that it has, into the hub's
    cache, in its own layout. What is there is not fetched again; what was broken off goes on where it stopped.

    Returns the snapshot's folder and the names of its files. Raises ProviderError when the hub fails or a file is not
    what its checksum says, StorageError when the cache can't be written.
    """
    commit, files = listing(repository, revision)
    chosen = next((name for name in choices if name in files), None)
    if chosen is None:
        raise ProviderError(f"{repository} has none of {', '.join(choices)}.", {"repository": repository})
    names = [name for name in wanted if name in files] + [chosen]
    root = repository_folder(repository)
    try:
        for folder in (root / "blobs", root / "snapshots" / commit, root / "refs"):
            folder.mkdir(parents=True, exist_ok=True)
        with file_lock(root / ".headroom.lock", WAIT_SECONDS):
            for name in names:
                blob = root / "blobs" / files[name].tag
                if not _is(blob, files[name]):
                    _fetch(f"{endpoint()}/{repository}/resolve/{commit}/{urllib.parse.quote(name)}",
                           files[name], blob, progress)  # fmt: skip
                _link(root / "snapshots" / commit / name, blob)
            (root / "refs" / revision).write_text(commit)
    except OSError as error:
        raise StorageError(f"The hub's cache {root} can't be written: {error}", {"path": str(root)}) from error
    return root / "snapshots" / commit, names


def _fetch(address: str, file: Remote, blob: Path, progress: Progress) -> None:
    part = blob.with_name(f"{blob.name}.part")
    for left in reversed(range(TRIES)):
        here = part.stat().st_size if part.exists() else 0
        if here > file.size:
            part.unlink()
            here = 0
        try:
            if here < file.size or not part.exists():
                _append(address, file, part, here, progress)
        except urllib.error.HTTPError as error:
            if error.code < 500 or not left:
                raise ProviderError(f"The hub answers {error.code} for {file.name}.", {"url": address}) from error
        except (urllib.error.URLError, HTTPException, TimeoutError, ConnectionError) as error:
            if not left:
                raise ProviderError(
                    f"The transfer of {file.name} broke off ({error}); the same command goes on where it stopped.",
                    {"url": address},
                ) from error
        if part.exists() and part.stat().st_size == file.size:
            break
    else:
        raise ProviderError(
            f"The transfer of {file.name} broke off; the same command goes on where it stopped.", {"url": address}
        )
    if not _is(part, file):
        part.unlink()
        raise ProviderError(
            f"{file.name} is not what its checksum {file.tag} says; it was thrown away. Try again.", {"url": address}
        )
    part.replace(blob)


def _append(address: str, file: Remote, part: Path, here: int, progress: Progress) -> None:
    with _ask(address, here) as answer:
        if here and answer.status != 206:  # the whole file comes
            here = 0
        with part.open("ab" if here else "wb") as out:
            progress(file.name, here, file.size)
            while data := answer.read(CHUNK):
                out.write(data)
                here += len(data)
                progress(file.name, here, file.size)
                if here > file.size:
                    break


def _ask(address: str, start: int = 0) -> Any:
    headers = {"User-Agent": "headroom", **({"Range": f"bytes={start}-"} if start else {})}
    return urllib.request.urlopen(urllib.request.Request(address, headers=headers), timeout=SECONDS)


def _remote(said: dict[str, Any]) -> Remote:
    large = said.get("lfs") or {}
    size = large.get("size", said.get("size"))
    file = Remote(str(said["rfilename"]), int(size or 0), str(large.get("sha256", "")), str(said.get("blobId") or ""))
    if any(part in ("", ".", "..") for part in file.name.split("/")) or not file.tag.isalnum():
        raise ValueError("a file name that leaves the folder, or no checksum")
    return file


def _is(path: Path, file: Remote) -> bool:
    """Whether what stands at ``path`` is the file's content."""
    if not path.is_file() or path.stat().st_size != file.size:
        return False
    if file.sha256:
        with path.open("rb") as data:
            return hashlib.file_digest(data, "sha256").hexdigest() == file.sha256
    digest = hashlib.sha1(f"blob {file.size}\0".encode(), usedforsecurity=False)  # git's own
    digest.update(path.read_bytes())
    return digest.hexdigest() == file.blob


def _link(place: Path, blob: Path) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    target = os.path.relpath(blob, place.parent)
    fresh = place.with_name(f".{place.name}.new")
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(target)
    fresh.replace(place)
