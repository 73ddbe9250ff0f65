"""`headroom uninstall`: everything that headroom has put on this machine, named first, then taken away."""

import contextlib
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import click

from headroom import paths
from headroom.api.world import TOKEN_FILE
from headroom.cli import authority, running
from headroom.cli.setup import manage
from headroom.cli.setup.clients import CLIENTS
from headroom.cli.setup.record import record
from headroom.errors import HeadroomError
from headroom.kompress.published import REPOSITORY, repository_folder

TRUSTED = (
    Path("/usr/local/share/ca-certificates/mitmproxy.crt"),
    Path("/etc/pki/ca-trust/source/anchors/mitmproxy.pem"),
)
"""Where the systems that have a file for it keep a CA that they were told to trust."""
DATABASES = ("ledger", "state", "originals", "memory", "semantic_cache", "blocks", "outbox")
FILES = (
    *(f"{name}.db*" for name in DATABASES),
    *("proxy_savings.json*", "toin.json*", "subscription_state.json*", "session_stats.jsonl", "setup.json"),
    *("ca-bundle-*.pem", "models.json", "config.toml", running.state_file(Path()).name, TOKEN_FILE),
)
FOLDERS = ("logs", "backups", "plugins")
OWN_FOLDER = ".headroom"
"""The workspace by default: all of it is ours."""


@dataclass(frozen=True, slots=True)
class Step:
    """Something that goes: what it is, and what takes it away."""

    what: str
    remove: Callable[[], object]


def uninstall(confdir: str | None, keep_ca: bool, yes: bool) -> None:
    """Say what goes, ask, and take it away. Raises HeadroomError; what went before that stays gone."""
    found = running.find(paths.workspace_dir())
    if found is not None:
        raise HeadroomError(f"the proxy runs (process {found.pid}): end it first", {"pid": found.pid})
    steps = list(_steps(confdir, keep_ca))
    if not steps:
        print("nothing of headroom is here but the program itself")
    else:
        print("This goes:")
        for step in steps:
            print(f"  {step.what}")
        if not yes and not click.confirm("Remove it all?"):
            print("nothing was removed")
            return
        for step in steps:
            step.remove()
        print("it is gone")
    print("The program itself goes with: pip uninstall headroom-ai")


def _steps(confdir: str | None, keep_ca: bool) -> Iterator[Step]:
    for name in record():
        if name in CLIENTS:
            yield Step(f"the setup of {CLIENTS[name].title}", lambda name=name: manage.undo([name], yes=True))  # type: ignore[misc]
    certificate = authority.certificate_path(confdir)
    if not keep_ca and certificate.is_file():
        if _system_trusts(certificate):
            from headroom.cli.trust_system import command_for, run

            command = command_for(certificate, wanted=False)
            yield Step(f"the system's trust in the CA: {command}", lambda: run(command))
        files = sorted({*certificate.parent.glob("mitmproxy-ca*"), *certificate.parent.glob("mitmproxy-dhparam.pem")})
        yield Step(
            f"{certificate.parent}/mitmproxy-ca*: the CA and its key (mitmproxy's own, if you use it; --keep-ca)",
            lambda: _remove(files, certificate.parent),
        )
    workspace, config = paths.workspace_dir(), paths.config_dir()
    for folder, of in ((config, "settings"), (workspace, "ledger, decisions, originals, notes, logs")):
        ours = _ours(folder)
        if ours and not (folder == config and config.is_relative_to(workspace) and _all_ours(workspace)):
            size = sum(file.stat().st_size for file in _files(ours))
            yield Step(f"{folder}: {of} ({size:,} bytes)", lambda ours=ours, folder=folder: _remove(ours, folder))  # type: ignore[misc]
    elsewhere = [paths.savings_path(), paths.toin_path(), paths.subscription_state_path()]
    for file in elsewhere:
        if file.is_file() and file.parent != workspace:
            yield Step(str(file), lambda file=file: file.unlink(missing_ok=True))  # type: ignore[misc]
    model = repository_folder(REPOSITORY)
    if model.is_dir():
        yield Step(f"{model}: the model that was fetched", lambda: shutil.rmtree(model))


def _ours(folder: Path) -> list[Path]:
    """What of a folder's content is ours: of the default workspace all, of any other what we know by name."""
    if not folder.is_dir():
        return []
    if _all_ours(folder):
        return list(folder.iterdir())
    found = {path for pattern in FILES for path in folder.glob(pattern)}
    return sorted(found | {folder / name for name in FOLDERS if (folder / name).is_dir()})


def _all_ours(folder: Path) -> bool:
    return folder.name == OWN_FOLDER and folder.is_dir()


def _files(ours: list[Path]) -> Iterator[Path]:
    for path in ours:
        yield from (file for file in ([path] if path.is_file() else path.rglob("*")) if file.is_file())


def _remove(ours: list[Path], folder: Path) -> None:
    """The files and folders, and the folder around them where it is empty then."""
    for path in ours:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        os.rmdir(folder)  # noqa: PTH106 - only if it is empty


def _system_trusts(certificate: Path) -> bool:
    own = certificate.read_bytes().strip()
    with contextlib.suppress(OSError):
        return any(file.is_file() and file.read_bytes().strip() == own for file in TRUSTED)
    return False
