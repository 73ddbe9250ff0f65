"""Options that several commands have."""

import click

SETTING = "An option of mitmproxy or headroom, such as headroom_tool_profiles=Bash=skip; may be repeated."


def settings(_: click.Context, __: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    for value in values:
        if "=" not in value:
            raise click.BadParameter(f"{value!r} is not name=value")
    return values


json = click.option("--json", "as_json", is_flag=True, help="For programs.")
confdir = click.option("--confdir", metavar="DIR", help="mitmproxy's folder with the CA, if not ~/.mitmproxy.")
project = click.option("--project", metavar="DIR", help="Of which project; by default the one of this folder.")
database = click.option(
    "--memory-db-path", "path", type=click.Path(dir_okay=False), help="Where notes are, if not in the workspace."
)
tags = click.option("--tag", "tags", multiple=True, help="A short word; may be repeated.")
