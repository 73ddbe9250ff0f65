"""`headroom doctor`: runs the checks and says what they found."""

from dataclasses import asdict

from rich.text import Text

from headroom.cli.checks import all_checks
from headroom.cli.output import new_table, print_json, print_table


def examine(confdir: str | None, as_json: bool) -> int:
    """Print what was found; 1 when something is wrong."""
    found = [finding for check in all_checks(confdir) for finding in check()]
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
