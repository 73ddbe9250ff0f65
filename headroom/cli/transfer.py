"""`headroom export` and `headroom import`: the ledger's rows as CSV, JSON or Parquet, and back."""

import csv
import io
import json
import os
import sys
from collections.abc import Iterable, Sequence
from dataclasses import fields
from pathlib import Path
from types import ModuleType
from typing import Any, get_args

from headroom import paths
from headroom.cli.output import print_json
from headroom.cli.stats import begin_of, ledger
from headroom.errors import ConfigurationError, StorageError, ValidationError
from headroom.ledger import Exchange, Ledger
from headroom.wire.usage import Usage

FORMATS = ("csv", "json", "parquet")
ALL = 1 << 62
_USAGE = tuple(field.name for field in fields(Usage))
_PLAIN = {field.name: field.type for field in fields(Exchange) if field.name not in ("usage", "saved_by_strategy")}
COLUMNS = (*_PLAIN, *_USAGE, "saved_by_strategy")
"""An exchange's fields; the five of its usage are empty where the provider told none."""


def export_rows(file: Path | None, format: str, since: str) -> None:
    """Write the exchanges ``since`` today, 7d or all, oldest first, to a file or standard output. Raises
    HeadroomError."""
    format = format or _format_of(file, "csv")
    with ledger() as open_ledger:
        rows = [_flat(row) for row in reversed(open_ledger.recent(ALL, begin_of(since)))]
    if format == "csv":
        data = _as_csv(rows)
    elif format == "json":
        data = (json.dumps(rows, ensure_ascii=False, indent=1) + "\n").encode()
    else:
        if file is None and sys.stdout.isatty():
            raise ValidationError("Parquet is nothing to read in a terminal: name a FILE", {"field": "FILE"})
        data = _as_parquet(rows)
    if file is None:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
        return
    _write(file, data)
    print(f"{file} has {len(rows):,} exchange{'' if len(rows) == 1 else 's'}")


def import_rows(file: Path, format: str, as_json: bool) -> None:
    """Add the exchanges in a file to the ledger; one that it has stays as it is. Raises HeadroomError, before anything
    is added where a row is wrong."""
    format = format or _format_of(file, "")
    try:
        raw = file.read_bytes()
    except OSError as error:
        raise StorageError(f"{file} can't be read: {error.strerror}", {"path": str(file)}) from error
    found = [_exchange(values, number) for number, values in enumerate(_rows(raw, format, file), 1)]
    kept = Ledger(paths.ledger_path(), paths.savings_path())
    try:
        if kept.problem is not None:
            raise StorageError(f"{paths.ledger_path()} can't be used: {kept.problem}", {})
        known = {row.id for row in kept.recent(ALL)}
        new = {row.id: row for row in found if row.id not in known}
        for row in new.values():
            kept.record(row)
        if kept.problem is not None:
            raise StorageError(f"{paths.ledger_path()} can't be written: {kept.problem}", {})
    finally:
        kept.close()
    if as_json:
        print_json({"read": len(found), "added": len(new)})
    else:
        print(f"{len(found):,} read, {len(new):,} of them new")


def _flat(row: Exchange) -> dict[str, Any]:
    usage = {name: getattr(row.usage, name) if row.usage else None for name in _USAGE}
    return {**{name: getattr(row, name) for name in _PLAIN}, **usage, "saved_by_strategy": dict(row.saved_by_strategy)}


def _as_csv(rows: Iterable[dict[str, Any]]) -> bytes:
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, COLUMNS)
    writer.writeheader()
    for row in rows:
        writer.writerow({**row, "saved_by_strategy": json.dumps(row["saved_by_strategy"])})
    return out.getvalue().encode()


def _as_parquet(rows: Sequence[dict[str, Any]]) -> bytes:
    pyarrow, parquet = _pyarrow()
    kinds = {"str": pyarrow.string(), "int": pyarrow.int64(), "float": pyarrow.float64()}
    types = {**{name: _name_of(kind) for name, kind in _PLAIN.items()}, **dict.fromkeys(_USAGE, "int")}
    schema = pyarrow.schema([(name, kinds[types.get(name, "str")]) for name in COLUMNS])
    flat = [{**row, "saved_by_strategy": json.dumps(row["saved_by_strategy"])} for row in rows]
    sink = pyarrow.BufferOutputStream()
    parquet.write_table(pyarrow.Table.from_pylist(flat, schema), sink)
    return bytes(sink.getvalue())


def _rows(raw: bytes, format: str, file: Path) -> list[dict[str, Any]]:
    """What a file holds, row by row. Raises ValidationError."""
    try:
        if format == "json":
            found = json.loads(raw)
        elif format == "csv":
            found = list(csv.DictReader(io.StringIO(raw.decode(), newline=""), strict=True))
        else:
            pyarrow, parquet = _pyarrow()
            found = parquet.read_table(pyarrow.BufferReader(raw)).to_pylist()
    except ConfigurationError:
        raise
    except Exception as error:  # pyarrow's own errors have no common class
        said = str(error).partition("\n")[0]
        raise ValidationError(f"{file} is no {format}: {said}", {"path": str(file), "format": format}) from error
    if not isinstance(found, list) or not all(isinstance(row, dict) for row in found):
        raise ValidationError(f"{file} is no list of exchanges", {"path": str(file)})
    return found


def _exchange(values: dict[str, Any], number: int) -> Exchange:
    """A row as an exchange. Raises ValidationError that names the row and the column."""
    if missing := {"id", "time"} - values.keys():
        raise ValidationError(f"row {number} has no {' and no '.join(sorted(missing))}", {"row": number})
    for name in values.keys() - set(COLUMNS):
        raise ValidationError(f"row {number} has the column {name!r}; known: {', '.join(COLUMNS)}", {"row": number})
    plain = {
        name: _typed(values[name], _name_of(kind), "None" in str(kind), name, number)
        for name, kind in _PLAIN.items()
        if name in values
    }
    usage = [_typed(values.get(name), "int", True, name, number) for name in _USAGE]
    saved = values.get("saved_by_strategy") or {}
    try:
        saved = json.loads(saved) if isinstance(saved, str) else saved
        saved = {str(name): int(tokens) for name, tokens in dict(saved).items()}
    except (ValueError, TypeError):
        raise _wrong("saved_by_strategy", saved, "an object of numbers", number) from None
    told = None if all(one is None for one in usage) else Usage(*(one or 0 for one in usage))
    return Exchange(**plain, usage=told, saved_by_strategy=saved)


def _typed(value: Any, kind: str, may_lack: bool, name: str, number: int) -> Any:
    if value is None or (value == "" and kind != "str"):
        if may_lack:
            return None
        if kind != "str":
            raise _wrong(name, value, f"a number ({kind})", number)
        return ""
    if kind == "str":
        return str(value)
    try:
        return int(value) if kind == "int" else float(value)
    except (ValueError, TypeError, OverflowError):
        raise _wrong(name, value, f"a number ({kind})", number) from None


def _name_of(kind: Any) -> str:
    """str, int or float, also where None is allowed."""
    named = [one for one in get_args(kind) or (kind,) if one is not type(None)]
    return str(named[0].__name__)


def _wrong(name: str, value: object, expected: str, number: int) -> ValidationError:
    return ValidationError(f"row {number}: {name} is {str(value)[:60]!r}; expected {expected}", {"row": number})


def _format_of(file: Path | None, otherwise: str) -> str:
    ending = file.suffix.lower().lstrip(".") if file is not None else ""
    if ending in FORMATS:
        return ending
    if file is None or otherwise:
        return otherwise
    raise ValidationError(f"{file} does not say its format; --format csv, json or parquet does", {"path": str(file)})


def _pyarrow() -> tuple[ModuleType, ModuleType]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise ConfigurationError(
            "Parquet needs the package pyarrow: pip install 'headroom-ai[parquet]'", {"package": "pyarrow"}
        ) from error
    return pyarrow, pyarrow.parquet


def _write(file: Path, data: bytes) -> None:
    """For its owner only, and never half of it."""
    fresh = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as out:
            out.write(data)
        fresh.replace(file)
    except OSError as error:
        fresh.unlink(missing_ok=True)
        raise StorageError(f"{file} can't be written: {error.strerror}", {"path": str(file)}) from error
