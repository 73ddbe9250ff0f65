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


@headroom.command()
@click.option("--port", type=click.IntRange(0, 65535), default=8787, show_default=True, help="0: a free one.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--api-key", metavar="KEY", help="What everybody has to show; better in HEADROOM_API_KEY.")
@click.option("--insecure", is_flag=True, help="Listen where other machines reach it, and ask for no key.")
@click.option("--budget", type=float, metavar="USD", help="A day (UTC), as billed; above it requests get a 429.")
@click.option("--log-file", type=click.Path(dir_okay=False), help="What headroom logs, as lines of JSON, is added.")
@click.option("--mode", type=click.Choice(["optimize", "audit", "off"]), help="What is done to requests.")
@click.option("--no-optimize", is_flag=True, help="The same as --mode off.")
@click.option("--no-ccr-responses", is_flag=True, help="Leave the model's calls for originals to the client.")
@click.option("--no-ccr-expansion", is_flag=True, help="Bring no original back before it is asked for.")
@click.option("--set", "settings", multiple=True, metavar="NAME=VALUE", callback=_settings, help=_SETTING)
def proxy(
    port: int,
    host: str,
    api_key: str | None,
    insecure: bool,
    budget: float | None,
    log_file: str | None,
    mode: str | None,
    no_optimize: bool,
    no_ccr_responses: bool,
    no_ccr_expansion: bool,
    settings: tuple[str, ...],
) -> None:
    """Run the proxy in the foreground until Ctrl-C.

    It is an HTTPS proxy, a base URL (http://localhost:8787 for Anthropic's and Google's clients, with /v1 for
    OpenAI's) and the HTTP API with the dashboard, all on one port. `headroom run` of the same workspace uses it.
    """
    from headroom.cli.proxy import is_loopback, serve, set_key

    if not set_key(api_key) and not insecure and not is_loopback(host):
        raise click.UsageError(
            f"--host {host} can be reached by other machines, and nobody who comes is asked for a key: they could "
            "reach other hosts through it as if they were this machine. Set HEADROOM_API_KEY (or --api-key); "
            "--insecure does it without."
        )
    if no_optimize and mode not in (None, "off"):
        raise click.UsageError(f"--no-optimize and --mode {mode} say different things")
    wishes = {
        "headroom_mode": "off" if no_optimize else mode,
        "headroom_budget": budget,
        "headroom_ccr_responses": "false" if no_ccr_responses else None,
        "headroom_ccr_expansion": "false" if no_ccr_expansion else None,
    }
    serve(
        host, port, log_file, (*(f"{name}={value}" for name, value in wishes.items() if value is not None), *settings)
    )


_json = click.option("--json", "as_json", is_flag=True, help="For programs.")
_confdir = click.option("--confdir", metavar="DIR", help="mitmproxy's folder with the CA, if not ~/.mitmproxy.")


@headroom.command()
@click.option("--since", type=click.Choice(["today", "7d", "all"]), default="all", show_default=True)
@click.option("--by", type=click.Choice(["session", "project", "model", "client"]), help="One line for each.")
@_json
def stats(since: str, by: str | None, as_json: bool) -> None:
    """What was saved, net of the provider's caching. Today begins at local midnight, 7d seven days ago."""
    from headroom.cli.stats import show_stats

    show_stats(since, by, as_json)


@headroom.command()
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True, help="So many, the newest first.")
@_json
def sessions(limit: int, as_json: bool) -> None:
    """The sessions of agents and programs, and what was saved in each."""
    from headroom.cli.stats import show_sessions

    show_sessions(limit, as_json)


@headroom.command()
@click.argument("hash")
@click.option("--query", default="", metavar="WORDS", help="Only the parts with these words, the best first.")
@_json
def retrieve(hash: str, query: str, as_json: bool) -> None:
    """Print an original that was left out of a request, exactly as it was; a marker in its place names the hash."""
    from headroom.cli.originals import show_original

    show_original(hash, query, as_json)


@headroom.command()
@click.argument("session", required=False)
@click.option("--limit", type=click.IntRange(1), default=100, show_default=True, help="So many, the newest.")
@_json
def originals(session: str | None, limit: int, as_json: bool) -> None:
    """What was left out in a session, oldest first; without one, the sessions in which something was."""
    from headroom.cli.originals import show_originals

    show_originals(session, limit, as_json)


@headroom.command()
@click.argument("what", type=click.Choice(["where", "show", "check"]), default="show")
@_confdir
@_json
def cert(what: str, confdir: str | None, as_json: bool) -> None:
    """The proxy's certificate authority.

    where: its file. show: its fingerprint and dates, and how clients and systems are told to trust it. check: whether
    it is sound, and what trusts it here; 1 when it is not sound.
    """
    from headroom.cli.cert import cert as tell

    sys.exit(tell(what, confdir, as_json))


@headroom.command()
@_confdir
@_json
def config(confdir: str | None, as_json: bool) -> None:
    """Every setting, its value, and where that comes from; 1 when one is wrong."""
    from headroom.cli.config import show_config

    sys.exit(show_config(confdir, as_json))


@headroom.command()
@_confdir
@_json
def doctor(confdir: str | None, as_json: bool) -> None:
    """Look whether everything works, and say what to do where it does not; 1 when something is wrong."""
    from headroom.cli.doctor import examine

    sys.exit(examine(confdir, as_json))


@headroom.group(invoke_without_command=True)
@click.pass_context
@_json
def models(ctx: click.Context, as_json: bool) -> None:
    """The models that can judge or embed texts here: which are present, where, and what runs them."""
    if ctx.invoked_subcommand is None:
        from headroom.cli.models import show_models

        show_models(as_json)


@models.command()
@click.argument("name", type=click.Choice(["kompress"]))
@click.option("--pytorch", is_flag=True, help="The weights for PyTorch in place of those for ONNX Runtime.")
@click.option("--revision", default="main", show_default=True, help="Branch, tag or commit on the hub.")
def download(name: str, pytorch: bool, revision: str) -> None:
    """Fetch a model from the hub into its local cache.

    Each file is checked against the hub's checksum. Broken off, the same command goes on where it stopped. The hub is
    HF_ENDPOINT, else huggingface.co; the cache is HF_HUB_CACHE or HF_HOME, else under ~/.cache.
    """
    from headroom.cli.models import download_kompress

    download_kompress(pytorch, revision)


_project = click.option("--project", metavar="DIR", help="Of which project; by default the one of this folder.")
_database = click.option(
    "--memory-db-path", "path", type=click.Path(dir_okay=False), help="Where notes are, if not in the workspace."
)
_tags = click.option("--tag", "tags", multiple=True, help="A short word; may be repeated.")


@headroom.group()
def memory() -> None:
    """Notes across sessions, for you and, through MCP, for agents. They never get into a request by themselves."""


@memory.command()
@click.argument("text", nargs=-1)
@_tags
@click.option("--everywhere", is_flag=True, help="It holds for all projects.")
@_project
@_database
@_json
def save(
    text: tuple[str, ...], tags: tuple[str, ...], everywhere: bool, project: str | None, path: str | None, as_json: bool
) -> None:
    """Keep a note, from standard input where no TEXT is given, and print its id."""
    from headroom.cli.memory import save_note

    save_note(text, tags, everywhere, project, path, as_json)


@memory.command()
@click.argument("query", nargs=-1)
@_tags
@click.option("--limit", type=click.IntRange(1, 100), default=5, show_default=True, help="At most so many.")
@_project
@_database
@_json
def search(
    query: tuple[str, ...], tags: tuple[str, ...], limit: int, project: str | None, path: str | None, as_json: bool
) -> None:
    """The notes that answer QUERY best; the newest without one; 1 when nothing is found."""
    from headroom.cli.memory import search_notes

    sys.exit(search_notes(query, tags, limit, project, path, as_json))


@memory.command(name="list")
@click.option("--all", "everything", is_flag=True, help="Of all projects.")
@_project
@_database
@_json
def list_(everything: bool, project: str | None, path: str | None, as_json: bool) -> None:
    """The notes of this project, the newest first."""
    from headroom.cli.memory import list_notes

    list_notes(everything, project, path, as_json)


@memory.command()
@click.argument("ids", nargs=-1, required=True, metavar="ID...")
@_database
def forget(ids: tuple[str, ...], path: str | None) -> None:
    """Take notes out for good."""
    from headroom.cli.memory import forget_notes

    forget_notes(ids, path)


@headroom.command()
@click.option("--memory", "with_memory", is_flag=True, help="With tools that keep and find notes across sessions.")
@_project
@_database
def mcp(with_memory: bool, project: str | None, path: str | None) -> None:
    """Serve headroom's tools to a client that speaks MCP, on standard input and output.

    \b
    claude mcp add headroom -- headroom mcp
    codex mcp add headroom -- headroom mcp
    """
    import logging

    from headroom.cli.store import chosen_store
    from headroom.mcp.server import serve as serve_mcp
    from headroom.mcp.tools import Tools
    from headroom.memory import project_of

    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="headroom: %(message)s")
    serve_mcp(Tools(chosen_store(), with_memory or bool(path), path or "", project_of(project or ".")))


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
