"""`headroom cert trust` and `untrust`: the system's store, by the system's own commands."""

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import click

from headroom.cli import authority
from headroom.cli.cert import system_commands
from headroom.errors import HeadroomError

DEBIAN, FEDORA, MAC = "Debian, Ubuntu", "Fedora, RHEL", "macOS"


def system() -> str:
    """Which of ``system_commands`` is for this machine. Raises HeadroomError where none is."""
    if sys.platform == "darwin":
        return MAC
    for command, name in (("update-ca-certificates", DEBIAN), ("update-ca-trust", FEDORA)):
        if shutil.which(command):
            return name
    raise HeadroomError(
        "how this system is told to trust a CA is not known; `headroom cert show` has the variables for single clients",
        {"platform": sys.platform},
    )


def change_trust(wanted: bool, confdir: str | None, yes: bool) -> None:
    """Show the commands that make the system trust the CA, or no longer, ask, and run them. Raises HeadroomError."""
    certificate = authority.certificate_path(confdir)
    if wanted:
        authority.read_authority(certificate)
    command = command_for(certificate, wanted)
    click.echo(command)
    if wanted:
        click.echo(
            "Every program that uses the system's store will then trust what is signed with the key in "
            f"{certificate.parent}. `headroom run` needs none of this."
        )
    if not yes and not click.confirm("Run it?"):
        click.echo("nothing was changed")
        return
    run(command)
    click.echo("the system trusts the CA" if wanted else "the system does not trust the CA any more")


def command_for(certificate: Path, wanted: bool) -> str:
    """The command on this machine; for root without sudo. Raises HeadroomError."""
    trust, remove = system_commands(Path(shlex.quote(str(certificate))))[system()]
    command = trust if wanted else remove
    return command.replace("sudo ", "") if os.geteuid() == 0 else command


def run(command: str) -> None:
    """Raises HeadroomError when it fails."""
    code = subprocess.run(["sh", "-c", command], check=False).returncode
    if code:
        raise HeadroomError(f"it failed with exit code {code}: {command}", {"command": command, "code": code})
