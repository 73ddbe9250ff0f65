"""What can be typed, told and completed."""

import contextlib
import os
import subprocess

import click
import pytest

from headroom.cli import reference
from headroom.cli.main import headroom
from tests.cli.conftest import Place
from tests.support.proxy import ROOT

PRINT_DATA = {"stats", "sessions", "retrieve", "originals", "cert", "config", "doctor", "models", "compress", "import"}


def test_the_page_about_the_command_line_says_what_the_help_says() -> None:
    page = (ROOT / "docs" / "cli.md").read_text()
    assert page == reference.page(), "python -m headroom.cli.reference > docs/cli.md brings it up to date"


def test_every_command_that_prints_data_can_print_it_for_programs() -> None:
    known = headroom.commands.items()
    can = {name for name, command in known if any("--json" in option.opts for option in command.params)}
    assert can >= PRINT_DATA


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_completes_commands_and_options(place: Place, shell: str) -> None:
    assert "_HEADROOM_COMPLETE" in place.headroom("completion", shell).stdout
    asked = {"_HEADROOM_COMPLETE": f"{shell}_complete", "COMP_WORDS": "headroom sta", "COMP_CWORD": "1"}
    if shell == "fish":
        asked["COMP_CWORD"] = "sta"
    said = subprocess.run(
        place.command(), cwd=ROOT, env=place.environment | asked, capture_output=True, text=True, check=True
    )
    assert "stats" in said.stdout


def test_every_option_says_what_it_does() -> None:
    def all_below(command: click.Command) -> list[click.Command]:
        below = command.commands.values() if isinstance(command, click.Group) else ()
        return [command, *(found for one in below for found in all_below(one))]

    silent = [
        f"{command.name} {option.opts[0]}"
        for command in all_below(headroom)
        for option in command.params
        if isinstance(option, click.Option) and not option.help and not isinstance(option.type, click.Choice)
    ]
    assert silent == []


def test_without_colours_where_nobody_wants_them(place: Place) -> None:
    place.environment |= {"NO_COLOR": "1", "FORCE_COLOR": "", "TERM": "xterm-256color"}
    leader, follower = os.openpty()
    process = place.start("models", stdout=follower)
    os.close(follower)
    said = b""
    with contextlib.suppress(OSError):  # how Linux says that the other end was closed
        while part := os.read(leader, 4096):
            said += part
    os.close(leader)
    process.communicate(timeout=60)
    assert b"model" in said and b"\x1b[3" not in said
