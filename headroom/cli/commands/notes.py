"""`headroom memory`."""

import sys

import click

from headroom.cli.commands import options


@click.group()
def memory() -> None:
    """Notes across sessions, for you and, through MCP, for agents. They never get into a request by themselves."""


@memory.command()
@click.argument("text", nargs=-1)
@options.tags
@click.option("--everywhere", is_flag=True, help="It holds for all projects.")
@options.project
@options.database
@options.json
def save(
    text: tuple[str, ...], tags: tuple[str, ...], everywhere: bool, project: str | None, path: str | None, as_json: bool
) -> None:
    """Keep a note, from standard input where no TEXT is given, and print its id."""
    from headroom.cli.memory import save_note

    save_note(text, tags, everywhere, project, path, as_json)


@memory.command()
@click.argument("query", nargs=-1)
@options.tags
@click.option("--limit", type=click.IntRange(1, 100), default=5, show_default=True, help="At most so many.")
@options.project
@options.database
@options.json
def search(
    query: tuple[str, ...], tags: tuple[str, ...], limit: int, project: str | None, path: str | None, as_json: bool
) -> None:
    """The notes that answer QUERY best; the newest without one; 1 when nothing is found."""
    from headroom.cli.memory import search_notes

    sys.exit(search_notes(query, tags, limit, project, path, as_json))


@memory.command(name="list")
@click.option("--all", "everything", is_flag=True, help="Of all projects.")
@options.project
@options.database
@options.json
def list_(everything: bool, project: str | None, path: str | None, as_json: bool) -> None:
    """The notes of this project, the newest first."""
    from headroom.cli.memory import list_notes

    list_notes(everything, project, path, as_json)


@memory.command()
@click.argument("ids", nargs=-1, required=True, metavar="ID...")
@options.database
def forget(ids: tuple[str, ...], path: str | None) -> None:
    """Take notes out for good."""
    from headroom.cli.memory import forget_notes

    forget_notes(ids, path)
