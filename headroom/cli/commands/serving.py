"""Commands that run something: a proxy, a command behind it, the MCP server."""

import sys

import click

from headroom.cli.commands import options


@click.command(context_settings={"allow_interspersed_args": False})
@click.option("--mode", type=click.Choice(["optimize", "audit", "off"]), help="What is done to requests.")
@click.option("--port", type=click.IntRange(1, 65535), help="Port of the proxy on loopback; a free one otherwise.")
@click.option("--web", is_flag=True, help="Open mitmweb beside it: every request, before and after.")
@click.option("--set", "settings", multiple=True, metavar="NAME=VALUE", callback=options.settings, help=options.SETTING)
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def run(mode: str | None, port: int | None, web: bool, settings: tuple[str, ...], command: tuple[str, ...]) -> None:
    """Run a command behind the proxy: headroom run -- claude

    The command, and nothing else, is told to use the proxy and to trust its CA. Its input, output, signals and exit
    code are its own. Afterwards one line on standard error says what was saved.

    The proxy of `headroom proxy` is used if one runs in this workspace. Otherwise, and with any option, the command
    gets one of its own, which ends with it.
    """
    from headroom.cli.run import run as run_it

    sys.exit(run_it(command, port, (*([f"headroom_mode={mode}"] if mode else []), *settings), web))


@click.command()
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
@click.option("--no-cache", is_flag=True, help="Answer nothing from the semantic cache.")
@click.option("--memory", "with_memory", is_flag=True, help="Serve the MCP tools with notes on the next port, too.")
@options.database
@click.option("--set", "settings", multiple=True, metavar="NAME=VALUE", callback=options.settings, help=options.SETTING)
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
    no_cache: bool,
    with_memory: bool,
    path: str | None,
    settings: tuple[str, ...],
) -> None:
    """Run the proxy in the foreground until Ctrl-C.

    It is an HTTPS proxy, a base URL (http://localhost:8787 for Anthropic's and Google's clients, with /v1 for
    OpenAI's) and the HTTP API with the dashboard, all on one port. `headroom run` of the same workspace uses it.
    """
    from headroom.cli.proxy import is_loopback, serve, serve_notes, set_key

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
        "headroom_semantic_cache": "false" if no_cache else None,
        "headroom_ccr_responses": "false" if no_ccr_responses else None,
        "headroom_ccr_expansion": "false" if no_ccr_expansion else None,
    }
    if with_memory or path:
        serve_notes(port, path or "")
    serve(
        host, port, log_file, (*(f"{name}={value}" for name, value in wishes.items() if value is not None), *settings)
    )


@click.command()
@click.option("--open", "opened", is_flag=True, help="Open it in the browser.")
@options.json
def dashboard(opened: bool, as_json: bool) -> None:
    """Print where the running proxy's dashboard is, with the key that shows the texts of requests."""
    from headroom.cli.dashboard import show

    show(opened, as_json)


@click.command()
@click.option("--memory", "with_memory", is_flag=True, help="With tools that keep and find notes across sessions.")
@options.project
@options.database
@click.option("--port", type=click.IntRange(0, 65535), help="Over HTTP on this port of 127.0.0.1; 0: a free one.")
def mcp(with_memory: bool, project: str | None, path: str | None, port: int | None) -> None:
    """Serve headroom's tools to clients that speak MCP: to one on standard input and output, or over HTTP on loopback.

    \b
    claude mcp add headroom -- headroom mcp
    codex mcp add headroom -- headroom mcp

    With --port, HEADROOM_API_KEY is what clients have to show, where it is set.
    """
    import logging
    import os

    from headroom.cli.store import chosen_store
    from headroom.mcp.server import serve as serve_mcp
    from headroom.mcp.server import serve_http
    from headroom.mcp.tools import Tools
    from headroom.memory import project_of

    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="headroom: %(message)s")
    tools = Tools(chosen_store(), with_memory or bool(path), path or "", project_of(project or "."))
    if port is None:
        serve_mcp(tools)
    else:
        serve_http(tools, port, os.environ.get("HEADROOM_API_KEY", ""), click.echo)
