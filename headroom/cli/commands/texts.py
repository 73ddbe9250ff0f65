"""Commands that print texts."""

from pathlib import Path

import click

from headroom.cli.commands import options


@click.command()
@click.argument("hash")
@click.option("--query", default="", metavar="WORDS", help="Only the parts with these words, the best first.")
@options.json
def retrieve(hash: str, query: str, as_json: bool) -> None:
    """Print an original that was left out of a request, exactly as it was; a marker in its place names the hash."""
    from headroom.cli.originals import show_original

    show_original(hash, query, as_json)


@click.command()
@click.argument("session", required=False)
@click.option("--limit", type=click.IntRange(1), default=100, show_default=True, help="So many, the newest.")
@options.json
def originals(session: str | None, limit: int, as_json: bool) -> None:
    """What was left out in a session, oldest first; without one, the sessions in which something was."""
    from headroom.cli.originals import show_originals

    show_originals(session, limit, as_json)


@click.command()
@click.argument("file", default="-", metavar="[FILE|-]", type=click.Path(exists=True, dir_okay=False, allow_dash=True))
@click.option("--tool", default="", metavar="NAME", help="The tool that printed it, such as Read; a shell otherwise.")
@click.option("--command", default="", metavar="WORDS", help="What the shell was told, such as 'pytest -q'.")
@click.option("--model", default="", help="Whose tokens are counted; a request says it itself.")
@click.option("--text", "as_text", is_flag=True, help="It is a text, also where it looks like a request.")
@click.option("-v", "--verbose", is_flag=True, help="Say on standard error what was saved.")
@options.json
def compress(file: str, tool: str, command: str, model: str, as_text: bool, verbose: bool, as_json: bool) -> None:
    """Print a file, or what comes down a pipe, in fewer tokens; nothing is left out.

    \b
    pytest 2>&1 | headroom compress --command pytest
    headroom compress request.json

    A request of Anthropic's, OpenAI's or Gemini's API and a list of messages stay what they are, with their tools'
    outputs shortened; everything else is taken as the output of one tool.
    """
    from headroom.cli.compressing import compress_file

    compress_file(None if file == "-" else Path(file), tool, command, model, as_text, as_json, verbose)
