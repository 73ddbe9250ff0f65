"""`headroom models`."""

import click

from headroom.cli.commands import options


@click.group(invoke_without_command=True)
@click.pass_context
@options.json
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
