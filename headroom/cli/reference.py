"""docs/cli.md: what `--help` says of every command, as one page. `python -m headroom.cli.reference` prints it."""

from collections.abc import Iterator

import click

from headroom.cli.main import headroom

WIDTH = 100
HEAD = """# The command line

What `headroom --help` and the `--help` of each command say; `python -m headroom.cli.reference > docs/cli.md` writes it.

Wherever data are printed, `--json` prints them for programs. Colours are for terminals only; `NO_COLOR=1` switches them
off. A mistake of the user's is one line on standard error.

| exit code | |
|---|---|
| 0 | done |
| 1 | it failed, or something is wrong (`doctor`, `cert check`, `config`), or nothing was found (`memory search`) |
| 2 | wrong usage: an option or argument that is not known, or has a wrong value |
| 125 | `run`: the proxy could not be started |
| 126, 127 | `run`: the command can't be executed, was not found |
| 130 | interrupted |
| others | `run`: those of its command; 128 + n when signal n ended it |
"""


def page() -> str:
    """The page as it has to be."""
    parts = [HEAD]
    for name, text in _helps(headroom, "headroom"):
        parts.append(f"## {name}\n\n```text\n{text}\n```\n")
    return "\n".join(parts)


def _helps(command: click.Command, name: str, above: click.Context | None = None) -> Iterator[tuple[str, str]]:
    """The help of a command and of all below it."""
    settings = {**command.context_settings, "terminal_width": WIDTH, "max_content_width": WIDTH}
    context = click.Context(command, info_name=name.rpartition(" ")[2], parent=above, **settings)
    yield name, "\n".join(line.rstrip() for line in command.get_help(context).splitlines())
    if isinstance(command, click.Group):
        for below in command.list_commands(context):
            found = command.get_command(context, below)
            if found is not None:
                yield from _helps(found, f"{name} {below}", context)


if __name__ == "__main__":
    print(page(), end="")
