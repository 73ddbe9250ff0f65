"""`headroom doctor`: runs the checks and says what they found."""

from collections.abc import Callable, Sequence
from dataclasses import asdict

from rich.text import Text

from headroom.cli.checks import all_checks
from headroom.cli.finding import Finding
from headroom.cli.output import new_table, print_json, print_table

REINSTALL = "python -m pip install --force-reinstall headroom-ai; please report it if that does not help"


def examine(confdir: str | None, port: int, as_json: bool, skip: Sequence[str] = ()) -> int:
    """Print what was found by all checks but those to ``skip``; 1 when something is wrong."""
    checks = [(name, check) for name, check in all_checks(confdir, port) if name not in skip]
    found = [finding for name, check in checks for finding in _findings(name, check)]
    bad = sum(bool(finding.remedy) for finding in found)
    if as_json:
        print_json({"ok": not bad, "findings": [{"ok": not one.remedy, **asdict(one)} for one in found]})
        return int(bool(bad))
    table = new_table("", "check", "found")
    for one in found:
        mark = Text("wrong", "red") if one.remedy else Text("ok", "green")
        remedy = (("\nremedy: ", "bold"), one.remedy) if one.remedy else ()
        table.add_row(mark, one.check, Text.assemble(one.found, *remedy))
    print_table(table)
    print("all is well" if not bad else f"{bad} {'thing is' if bad == 1 else 'things are'} wrong")
    return int(bool(bad))


def _findings(name: str, check: Callable[[], list[Finding]]) -> list[Finding]:
    """What a check says; one that can't be made is bad news too, and the others are made all the same."""
    try:
        return check()
    except Exception as error:
        said = f"the check itself failed: {type(error).__name__}: {error}"
        return [Finding(name, said, REINSTALL)]
