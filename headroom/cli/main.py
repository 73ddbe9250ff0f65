"""The command: all that can be typed, and how errors are told."""

import os
import sys

import click

from headroom.cli.commands import figures, models, notes, serving, texts, upkeep
from headroom.errors import HeadroomError

EPILOG = """Exit codes: 0 done, 1 failed or something is wrong, 2 wrong usage, 130 interrupted; run: those of its
command, or 125 when the proxy could not be started, 126 and 127 when the command can't be executed or found."""


@click.group(epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="headroom-ai", message="%(prog)s %(version)s")
def headroom() -> None:
    """Fewer tokens to your model provider, with nothing lost."""


for _command in (
    *(serving.run, serving.proxy, serving.dashboard, serving.mcp),
    *(figures.stats, figures.sessions, figures.show, figures.replay, figures.export, figures.import_),
    *(texts.retrieve, texts.originals, texts.compress),
    *(upkeep.setup, upkeep.cert, upkeep.config, upkeep.doctor, upkeep.completion, upkeep.uninstall),
    *(models.models, upkeep.plugins, notes.memory),
):
    headroom.add_command(_command)


def main() -> None:
    """The entry point: an error of the user's is one line, and never a traceback."""
    try:
        headroom(prog_name="headroom")
    except BrokenPipeError:  # `headroom stats | head`; click itself looks at standard output only
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        sys.exit(1)
    except OSError as error:
        print(
            f"headroom: {error.filename or ''}{': ' if error.filename else ''}{error.strerror or error}",
            file=sys.stderr,
        )
        sys.exit(1)
    except HeadroomError as error:
        print(f"headroom: {error.message}", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
