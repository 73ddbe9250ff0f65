"""What can be typed: the commands and their options. What they do is in a file each, loaded when one is called."""

import os
import sys

import click

from headroom.errors import HeadroomError

EPILOG = """Exit codes: 0 done, 1 failed or something is wrong, 2 wrong usage, 130 interrupted; run: those of its
command, or 125 when the proxy could not be started, 126 and 127 when the command can't be executed or found."""
_SETTING = "An option of mitmproxy or headroom, such as headroom_tool_profiles=Bash=skip; may be repeated."


def _settings(_: click.Context, __: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    for value in values:
        if "=" not in value:
            raise click.BadParameter(f"{value!r} is not name=value")
    return values


@click.group(epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="headroom-ai", message="%(prog)s %(version)s")
def headroom() -> None:
    """Fewer tokens to your model provider, with nothing lost."""


@headroom.command(context_settings={"allow_interspersed_args": False})
@click.option("--mode", type=click.Choice(["optimize", "audit", "off"]), help="What is done to requests.")
@click.option("--port", type=click.IntRange(1, 65535), help="Port of the proxy on loopback; a free one otherwise.")
@click.option("--set", "settings", multiple=True, metavar="NAME=VALUE", callback=_settings, help=_SETTING)
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def run(mode: str | None, port: int | None, settings: tuple[str, ...], command: tuple[str, ...]) -> None:
    """Run a command behind the proxy: headroom run -- claude

    The command, and nothing else, is told to use the proxy and to trust its CA. Its input, output, signals and exit
    code are its own. Afterwards one line on standard error says what was saved.

    The proxy of `headroom proxy` is used if one runs in this workspace. Otherwise, and with any option, the command
    gets one of its own, which ends with it.
    """
    from headroom.cli.run import run as run_it

    sys.exit(run_it(command, port, (*([f"headroom_mode={mode}"] if mode else []), *settings)))


def main() -> None:
    """The entry point: an error of the user's is one line, and never a traceback."""
    try:
        headroom()
    except BrokenPipeError:  # `headroom stats | head`; click itself looks at standard output only
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        sys.exit(1)
    except HeadroomError as error:
        print(f"headroom: {error.message}", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
