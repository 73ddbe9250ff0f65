"""Setting clients up, and taking that back: show what changes, ask, keep what was, write."""

import contextlib
import os
import re
import stat
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import unified_diff
from pathlib import Path

import click

from headroom import paths
from headroom.api.gate import KEY_VARIABLE
from headroom.cli import authority
from headroom.cli.environment import REPLACING
from headroom.cli.output import new_table, print_json, print_table
from headroom.cli.setup.clients import CLIENTS, Client, Part, Proxy
from headroom.cli.setup.edits import JsonEdit, LinesEdit, written
from headroom.cli.setup.record import Done, keep_backup, record, replace_file, write_record
from headroom.errors import ConfigurationError, StorageError

_key = re.compile(r"://headroom:[^@\s]*@")
KEY_SIZE = 2048
"""Bits of a CA's key, as mitmproxy itself makes it."""


@dataclass(frozen=True, slots=True)
class Change:
    """A file, what it says and what it is to say; where it ``goes``, it is not to be there any more."""

    file: Path
    before: str
    after: str
    goes: bool = False


def set_up(names: Sequence[str], port: int, confdir: str | None, yes: bool) -> None:
    """Set clients up for a proxy at a port of this machine. Raises HeadroomError; what was written before stays."""
    done = record()
    proxy = _proxy(port, confdir)
    for name in names:
        client = CLIENTS[name]
        if proxy.key and not client.shows_key:
            raise ConfigurationError(
                f"{KEY_VARIABLE} is set, and {client.title} has no way to show a key by a base URL; `headroom run` has",
                {"setting": KEY_VARIABLE},
            )
        known = {Path(one.file): one for one in done.get(name, ())}
        changes = [_change(part, proxy, known.get(part.file())) for part in client.parts]
        changes = [change for change in changes if change.after != change.before]
        if not changes:
            print(f"{client.title} is set up already: {client.parts[0].file()}")
            continue
        for change in changes:
            _show(change.file, change.before, change.after)
        if not _agreed(changes, yes):
            print(f"{client.title} stays as it is")
            continue
        for change in changes:
            old, made = known.get(change.file), not change.file.exists()
            backup = old.backup if old else "" if made else str(keep_backup(name, change.file, change.before))
            paths.private_dir(change.file.parent)
            replace_file(change.file, change.after, _mode(change.file))
            was = old.made if old else made
            known[change.file] = Done(str(change.file), was, backup, change.after, port, str(proxy.certificate))
            done[name] = list(known.values())
            write_record(done)
        _tell(client, port, [one for one in known.values() if one.backup])


def undo(names: Sequence[str], yes: bool) -> None:
    """Take back what was set up. Raises HeadroomError."""
    done = record()
    for name in names:
        client = CLIENTS[name]
        if name not in done:
            print(f"{client.title} is not set up")
            continue
        changes = [undone(client, one) for one in done[name]]
        for change in changes:
            _show(change.file, change.before, change.after)
        if not _agreed([change for change in changes if change.after != change.before], yes):
            print(f"{client.title} stays as it is")
            continue
        for change in changes:
            take_back(change)
        del done[name]
        write_record(done)
        print(f"{client.title} is as it was before")


def take_back(change: Change) -> None:
    """Write what a file is to be again; one that was ours alone goes, and its folder where nothing else is in it."""
    if change.goes:
        change.file.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            change.file.parent.rmdir()
    elif change.after != change.before:
        replace_file(change.file, change.after, _mode(change.file))


def undone(client: Client, known: Done) -> Change:
    """What taking a setup back changes in a file. Raises HeadroomError.

    Where nobody else has written since, it is what it was before, byte for byte; else only our words are taken out.
    """
    file = Path(known.file)
    now, before = _read(file), _before(known)
    if now == known.wrote or not file.exists():
        return Change(file, now, before if file.exists() else "", known.made)
    proxy = Proxy(known.port, os.environ.get(KEY_VARIABLE, "").strip(), Path(known.certificate), Path())
    edit = next((part.edit(proxy) for part in client.parts if part.file() == file), LinesEdit((), ()))
    if isinstance(edit, JsonEdit):
        edit = JsonEdit(written(known.wrote, edit.values))
    try:
        after = edit.undo(now, before)
    except ConfigurationError as error:
        kept = f"; what it was is in {known.backup}" if known.backup else ""
        raise ConfigurationError(f"{file} can't be changed back: {error.message}{kept}", error.details) from error
    return Change(file, now, after, known.made and after.strip() in ("", "{}"))


def _change(part: Part, proxy: Proxy, known: Done | None) -> Change:
    """What setting up changes in a file. Raises HeadroomError."""
    file = part.file()
    before = _read(file)
    base = _before(known) if known is not None and known.wrote == before else before
    try:
        return Change(file, before, part.edit(proxy).make(base))
    except ConfigurationError as error:
        raise ConfigurationError(f"{file} can't be changed: {error.message}", error.details) from error


def show_clients(as_json: bool) -> None:
    """Print which clients are set up. Raises StorageError."""
    done = record()
    if as_json:
        rows = []
        for name, client in CLIENTS.items():
            kept = [{"file": one.file, "port": one.port, "backup": one.backup} for one in done.get(name, ())]
            rows.append({"client": name, "title": client.title, "set_up": name in done, "files": kept})
        print_json(rows)
        return
    table = new_table("name", "client", "set up", "file")
    for name, client in CLIENTS.items():
        known = done.get(name, [])
        port = f"port {known[0].port}" if known and client.through_proxy else "yes" if known else "no"
        files = [one.file for one in known] or [str(part.file()) for part in client.parts]
        table.add_row(name, client.title, port, "\n".join(files))
    print_table(table)


def _proxy(port: int, confdir: str | None) -> Proxy:
    certificate = authority.certificate_path(confdir)
    if not certificate.is_file():
        authority.make_authority(str(certificate.parent), KEY_SIZE)
    own = [os.environ[name] for name in REPLACING if os.environ.get(name)]
    bundle = authority.write_bundle(paths.workspace_dir(), certificate, own)
    return Proxy(port, os.environ.get(KEY_VARIABLE, "").strip(), certificate, bundle)


def _read(file: Path) -> str:
    try:
        return file.read_bytes().decode()
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        said = error.strerror if isinstance(error, OSError) else "it is no text in UTF-8"
        raise StorageError(f"{file} can't be read: {said}", {"path": str(file)}) from error


def _before(known: Done) -> str:
    return _read(Path(known.backup)) if known.backup else ""


def _mode(file: Path) -> int:
    return stat.S_IMODE(file.stat().st_mode) if file.exists() else 0o600


def _show(file: Path, before: str, after: str) -> None:
    """The change, without a key."""
    lines = unified_diff(before.splitlines(), after.splitlines(), str(file), str(file), lineterm="", n=2)
    for line in lines:
        colour = {"+": "green", "-": "red"}.get(line[:1]) if not line.startswith(("+++", "---")) else None
        said = _key.sub("://headroom:***@", line)
        click.echo(click.style(said, fg=colour) if _coloured() else said)


def _coloured() -> bool:
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR")


def _agreed(changes: Sequence[Change], yes: bool) -> bool:
    if yes or not changes:
        return True
    files = " and ".join(str(change.file) for change in changes)
    return click.confirm(f"Remove {files}?" if all(change.goes for change in changes) else f"Change {files}?")


def _tell(client: Client, port: int, kept: Sequence[Done]) -> None:
    print(f"{client.title} is set up")
    for one in kept:
        print(f"What {one.file} was: {one.backup}")
    if client.note:
        print(client.note)
    if client.through_proxy:
        print(f"It needs the proxy whenever it runs: headroom proxy --port {port}")
    print(f"To take it back: headroom setup {client.name} --undo")
