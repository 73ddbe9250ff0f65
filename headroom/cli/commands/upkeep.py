"""Commands that look after an installation."""

import sys

import click

from headroom.cli.commands import options

CLIENT_NAMES = ("claude", "codex", "gemini", "aider", "opencode", "cursor")


@click.command()
@click.argument("what", type=click.Choice(["where", "show", "check", "trust", "untrust"]), default="show")
@click.option("-y", "--yes", is_flag=True, help="trust, untrust: don't ask.")
@options.confdir
@options.json
def cert(what: str, yes: bool, confdir: str | None, as_json: bool) -> None:
    """The proxy's certificate authority.

    where: its file. show: its fingerprint and dates, and how clients and systems are told to trust it. check: whether
    it is sound, and what trusts it here; 1 when it is not sound. trust, untrust: let this system trust it, and no
    longer; says by which commands, and asks.
    """
    if what in ("trust", "untrust"):
        from headroom.cli.trust_system import change_trust

        change_trust(what == "trust", confdir, yes)
        return
    from headroom.cli.cert import cert as tell

    sys.exit(tell(what, confdir, as_json))


@click.command()
@options.confdir
@options.json
def config(confdir: str | None, as_json: bool) -> None:
    """Every setting, its value, and where that comes from; 1 when one is wrong."""
    from headroom.cli.config import show_config

    sys.exit(show_config(confdir, as_json))


@click.command()
@options.confdir
@click.option("--port", type=click.IntRange(1, 65535), default=8787, show_default=True, help="Of `headroom proxy`.")
@click.option("--skip", multiple=True, metavar="CHECK", help="Leave a check out, such as exchange; may be repeated.")
@options.json
def doctor(confdir: str | None, port: int, skip: tuple[str, ...], as_json: bool) -> None:
    """Look whether everything works, and say what to do where it does not; 1 when something is wrong."""
    from headroom.cli.doctor import examine

    sys.exit(examine(confdir, port, as_json, skip))


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print what makes the Tab key complete headroom's commands and options.

    \b
    bash: echo 'eval "$(headroom completion bash)"' >> ~/.bashrc
    zsh:  echo 'eval "$(headroom completion zsh)"' >> ~/.zshrc
    fish: headroom completion fish > ~/.config/fish/completions/headroom.fish
    """
    from click.shell_completion import get_completion_class

    root = click.get_current_context().find_root()
    found = get_completion_class(shell)
    assert found is not None  # click has these three
    click.echo(found(root.command, {}, "headroom", "_HEADROOM_COMPLETE").source())


@click.command()
@options.json
def plugins(as_json: bool) -> None:
    """The transforms and stores that other packages add, and whether they can be used."""
    from headroom.cli.plugins import show_plugins

    show_plugins(as_json)


@click.command()
@click.argument("clients", nargs=-1, type=click.Choice(CLIENT_NAMES), metavar="[CLIENT]...")
@click.option("--undo", is_flag=True, help="Take it back: what the client's file said before, it says again.")
@click.option("--port", type=click.IntRange(1, 65535), default=8787, show_default=True, help="Of `headroom proxy`.")
@click.option("-y", "--yes", is_flag=True, help="Don't ask.")
@options.confdir
@options.json
def setup(clients: tuple[str, ...], undo: bool, port: int, yes: bool, confdir: str | None, as_json: bool) -> None:
    """Let a client use the proxy whenever it is started: claude, codex, gemini, aider, opencode, cursor.

    Shows what would be changed in the client's own file of settings, asks, keeps a copy, and changes it. The proxy has
    to run whenever the client does; `headroom run` needs none of this. Without a CLIENT: which are set up.
    """
    from headroom.cli.setup import manage

    if not clients:
        manage.show_clients(as_json)
    elif undo:
        manage.undo(clients, yes)
    else:
        manage.set_up(clients, port, confdir, yes)


@click.command()
@click.option("--keep-ca", is_flag=True, help="Leave mitmproxy's CA where it is.")
@click.option("-y", "--yes", is_flag=True, help="Don't ask.")
@options.confdir
def uninstall(keep_ca: bool, yes: bool, confdir: str | None) -> None:
    """Take away everything that headroom has put on this machine; says first what that is, and asks.

    The setups of clients, the trust in the CA and the CA itself, the workspace with ledger, originals and notes, the
    settings, models that were fetched. Not the program: pip uninstall headroom-ai.
    """
    from headroom.cli.uninstall import uninstall as take_away

    take_away(confdir, keep_ca, yes)
