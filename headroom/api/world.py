"""What the API is given to answer from."""

import os
import secrets
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from headroom.api.live import Live
from headroom.ccr.originals import Originals
from headroom.ledger import Ledger
from headroom.ledger.blocks import Blocks
from headroom.paths import private_dir
from headroom.subscription import Subscriptions

TOKEN_FILE = "dashboard-token"


@dataclass(frozen=True, slots=True)
class Running:
    """How the proxy is set: ``mode``, whether it sets cache breakpoints, USD a day or None, the workspace, and what
    else is told of it in /health. ``key`` is what everybody has to show, or ""."""

    mode: str
    cache: bool
    budget_usd: float | None
    workspace: Path
    key: str = ""
    max_originals: int = 1000
    more: Mapping[str, object] = field(default_factory=dict)


class World(Protocol):
    """The proxy behind the API. Each property is read anew: settings and workspace may change while it runs."""

    @property
    def ledger(self) -> Ledger: ...
    @property
    def live(self) -> Live: ...
    @property
    def originals(self) -> Originals: ...
    @property
    def blocks(self) -> Blocks: ...
    @property
    def subscriptions(self) -> Subscriptions: ...
    @property
    def running(self) -> Running: ...
    @property
    def started(self) -> float:
        """Unix seconds."""
        ...


def content_token(workspace: Path) -> str:
    """What somebody has to show to see the texts of requests: made once, in a file that only its owner reads.

    Others on this machine can reach the port, too. Raises StorageError or OSError.
    """
    path = private_dir(workspace) / TOKEN_FILE
    with suppress(FileNotFoundError):
        return path.read_text().strip()
    fresh = path.with_name(f".{TOKEN_FILE}.{secrets.token_hex(8)}")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "w") as file:
        file.write(secrets.token_urlsafe(24))
    try:
        with suppress(FileExistsError):  # another was faster: its token counts
            os.link(fresh, path)
    finally:
        fresh.unlink()
    return path.read_text().strip()
