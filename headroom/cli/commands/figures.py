"""Commands that tell figures."""

from pathlib import Path

import click

from headroom.cli.commands import options


@click.command()
@click.option("--since", type=click.Choice(["today", "7d", "all"]), default="all", show_default=True)
@click.option("--by", type=click.Choice(["session", "project", "model", "client"]), help="One line for each.")
@options.json
def stats(since: str, by: str | None, as_json: bool) -> None:
    """What was saved, net of the provider's caching. Today begins at local midnight, 7d seven days ago."""
    from headroom.cli.stats import show_stats

    show_stats(since, by, as_json)


@click.command()
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True, help="So many, the newest first.")
@options.json
def sessions(limit: int, as_json: bool) -> None:
    """The sessions of agents and programs, and what was saved in each."""
    from headroom.cli.stats import show_sessions

    show_sessions(limit, as_json)


@click.command()
@click.argument("session", default="last")
@click.option("--all", "with_unchanged", is_flag=True, help="Also the blocks that stayed as they were, and why.")
@options.json
def show(session: str, with_unchanged: bool, as_json: bool) -> None:
    """A session, block by block: what was done to each output of a tool. The last one, unless SESSION names another.

    SESSION may be the beginning of a name. The texts before and after are on the dashboard while the proxy runs.
    """
    from headroom.cli.show import show_session

    show_session(session, with_unchanged, as_json)


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--hosts", default="", metavar="HOST=SHAPE,...", help="Further hosts, as in headroom_hosts.")
@options.json
def replay(file: Path, hosts: str, as_json: bool) -> None:
    """What traffic that you recorded would have cost with headroom. Nothing is sent anywhere.

    \b
    FILE.har    what a browser's or another proxy's archive holds
    FILE.flow   what mitmdump -w FILE.flow wrote; through headroom too
    FILE.jsonl  a request's body on each line, or {"url", "body", "time", "headers", "response"}

    Each request goes through the proxy's own engine, in the order and at the times of the recording. What the provider
    would have billed for both is computed by its rules for prompt caching, and held against what its answers say.
    """
    from headroom.cli.replay.play import replay_file

    replay_file(file, hosts, as_json)


_format = click.option(
    "--format", type=click.Choice(["csv", "json", "parquet"]), help="By default as FILE ends, or csv."
)


@click.command(name="export")
@click.argument("file", required=False, type=click.Path(dir_okay=False, path_type=Path))
@_format
@click.option("--since", type=click.Choice(["today", "7d", "all"]), default="all", show_default=True)
def export(file: Path | None, format: str | None, since: str) -> None:
    """Write the ledger's rows to FILE, or to standard output: figures of each exchange, and no content.

    Parquet needs the extra of this name: pip install 'headroom-ai[parquet]'.
    """
    from headroom.cli.transfer import export_rows

    export_rows(file, format or "", since)


@click.command(name="import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@_format
@options.json
def import_(file: Path, format: str | None, as_json: bool) -> None:
    """Add what `headroom export` wrote, here or on another machine; rows that are there already stay as they are."""
    from headroom.cli.transfer import import_rows

    import_rows(file, format or "", as_json)
