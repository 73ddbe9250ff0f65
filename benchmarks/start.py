"""How long the command takes to begin: help on the screen, the proxy listening.

Each figure is the median of whole processes, from their start on. Processor time is theirs alone: on a machine with
other work the clock says more. `python -X importtime` says which imports take the longest.
"""

import argparse
import os
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.support.report import Figure, show, verdict, wide

HELP_MS, LISTENING_MS = 150.0, 1500.0
_COMMAND = "from headroom.cli.main import main; main()"
_import = re.compile(r"import time:\s+(\d+) \|\s+(\d+) \| (\s*)(\S+)").fullmatch


def main(options: list[str]) -> int:
    """Print the figures; 1 where a bar is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks start", description=__doc__)
    parser.add_argument("--times", type=int, default=15, help="processes for each figure")
    times = parser.parse_known_args(options)[0].times
    console = wide()
    with tempfile.TemporaryDirectory() as home:
        environment = {"PATH": os.environ["PATH"], "HOME": home, "LANG": "C.UTF-8"}
        bare = [_run([sys.executable, "-c", "pass"], environment) for _ in range(times)]
        said = [_run([sys.executable, "-c", _COMMAND, "--help"], environment) for _ in range(times)]
        first = _listening(environment)
        listening = [_listening(environment) for _ in range(times)]
        slowest = _imports(environment)
    figures = [
        _figure("headroom --help", said, bare, HELP_MS),
        _figure("headroom proxy, until it listens", listening, bare, LISTENING_MS),
        Figure("the first one ever, which makes the CA", 1000 * first[0]),
        Figure("headroom --help, processor time", _middle([one[1] for one in said]), _middle([one[1] for one in bare])),
        Figure("headroom proxy, processor time", _middle([one[1] for one in listening]), _middle([o[1] for o in bare])),
    ]
    missed = show(console, f"Start, median of {times}", figures, "python -c pass")
    console.print("imports of the command that take the longest (python -X importtime):")
    for name, milliseconds in slowest:
        console.print(f"  {milliseconds:6.1f} ms  {name}")
    return verdict(console, missed)


def _figure(what: str, ours: list[tuple[float, float]], plain: list[tuple[float, float]], limit: float) -> Figure:
    return Figure(what, _middle([one[0] for one in ours]), _middle([one[0] for one in plain]), limit=limit)


def _middle(seconds: list[float]) -> float:
    """In milliseconds."""
    return 1000 * statistics.median(seconds)


def _run(command: list[str], environment: dict[str, str]) -> tuple[float, float]:
    """Seconds by the clock and of the processor."""
    before, began = os.times(), time.monotonic()
    subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=True)
    seconds, after = time.monotonic() - began, os.times()
    used = after.children_user + after.children_system - before.children_user - before.children_system
    return seconds, used


def _listening(environment: dict[str, str]) -> tuple[float, float]:
    """The same for a proxy, until somebody can connect to it."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    began = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-c", _COMMAND, "proxy", "--port", str(port)],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                if process.poll() is not None or time.monotonic() - began > 60:
                    raise RuntimeError("the proxy did not start") from None
                time.sleep(0.005)
        seconds = time.monotonic() - began
        used = _processor_seconds(process.pid)
    finally:
        process.terminate()
        process.wait()
    return seconds, used


def _processor_seconds(pid: int) -> float:
    """Of a process that runs; 0 where the system does not say (it does on Linux)."""
    file = Path(f"/proc/{pid}/stat")
    if not file.exists():
        return 0.0
    fields = file.read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _imports(environment: dict[str, str]) -> list[tuple[str, float]]:
    """The modules that the command itself loads, with all below them, in milliseconds."""
    command = [sys.executable, "-X", "importtime", "-c", "import headroom.cli.main"]
    said = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stderr
    found = [match for line in said.splitlines() if (match := _import(line))]
    times = [(match[4], int(match[2]) / 1000) for match in found if len(match[3]) <= 4]
    return sorted(times, key=lambda item: -item[1])[:6]
