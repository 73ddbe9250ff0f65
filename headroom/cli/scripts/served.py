"""A mitmproxy script for `headroom proxy`: it says in the workspace that the proxy runs, and writes the log file."""

import json
import logging
import os
import time
from io import TextIOWrapper
from logging.handlers import RotatingFileHandler
from pathlib import Path

from mitmproxy import ctx
from mitmproxy.addonmanager import Loader

from headroom import paths
from headroom.cli.running import Running, announce
from headroom.errors import StorageError

log = logging.getLogger("headroom")
LOG_BYTES, LOG_FILES = 10_000_000, 5
"""A log file that is longer is put aside as NAME.1, of which there are so many at the most."""


class Served:
    def __init__(self) -> None:
        self._file: logging.Handler | None = None
        self._announced: int | None = None

    def load(self, loader: Loader) -> None:
        loader.add_option(
            "headroom_log_file", str, "", "File that is there, to which what headroom logs is added as lines of JSON."
        )

    def configure(self, updated: set[str]) -> None:
        if "headroom_log_file" not in updated:
            return
        self._close()
        name = ctx.options.headroom_log_file
        if name:
            self._file = _Private(name, maxBytes=LOG_BYTES, backupCount=LOG_FILES, encoding="utf-8")
            self._file.setFormatter(_Lines())
            log.addHandler(self._file)

    def headroom_ready(self) -> None:
        host, port, *_ = ctx.master.addons.get("proxyserver").listen_addrs()[0]
        confdir = str(Path(ctx.options.confdir).expanduser())
        workspace = paths.workspace_dir(ctx.options.headroom_workspace or None)
        try:
            self._announced = announce(workspace, Running(os.getpid(), host, port, confdir))
        except (OSError, StorageError) as error:
            log.warning("`headroom run` can't be told of this proxy: %s", error)
        else:
            if self._announced is None:
                log.warning("another proxy of %s runs already: `headroom run` goes on using that one", workspace)

    def done(self) -> None:
        self._close()
        if self._announced is not None:
            os.close(self._announced)

    def _close(self) -> None:
        if self._file is not None:
            log.removeHandler(self._file)
            self._file.close()
            self._file = None


class _Private(RotatingFileHandler):
    """What it opens is its owner's only."""

    def _open(self) -> TextIOWrapper:
        handle = os.open(self.baseFilename, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        return os.fdopen(handle, "a", encoding=self.encoding)


class _Lines(logging.Formatter):
    """A JSON object a line: time, level, message, and for an exchange its figures."""

    def format(self, record: logging.LogRecord) -> str:
        moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        line: dict[str, object] = {"time": f"{moment}.{int(record.msecs):03d}Z", "level": record.levelname.lower()}
        more = getattr(record, "exchange", None)
        if more is not None:
            line["exchange"] = more
        return json.dumps({**line, "message": record.getMessage()}, ensure_ascii=False)


addons = [Served()]
