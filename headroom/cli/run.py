"""`headroom run`: a command behind the proxy, with its input, output, signals and exit code its own."""

import os
import shutil
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from types import FrameType
from urllib.parse import urlsplit

from headroom import paths
from headroom.cli import authority, running
from headroom.cli.environment import PROXY, client_environment
from headroom.cli.output import in_one_line
from headroom.cli.owned import OwnProxy
from headroom.errors import HeadroomError
from headroom.ledger import Ledger

FAILED, NOT_EXECUTABLE, NOT_FOUND = 125, 126, 127
"""Exit codes when the command was not run, as `env` and `timeout` have them."""
SETTLE_SECONDS = 0.3
"""A shared proxy writes an exchange down a moment after its answer."""
_PASSED_ON = (
    *(signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGHUP),
    *(signal.SIGUSR1, signal.SIGUSR2),
)
_FROM_KEYS = (signal.SIGINT, signal.SIGQUIT)


def run(command: Sequence[str], port: int | None, settings: Sequence[str], web: bool = False) -> int:
    """Run ``command`` behind the proxy of the workspace, or one of its own when ``port`` or ``settings`` ask for one or
    none runs; with ``web`` mitmweb shows what goes through that. Returns its exit code, 128 + n when signal n ended it,
    or FAILED and its neighbours."""
    found = shutil.which(command[0])
    if found is None:
        there = os.path.exists(command[0])  # noqa: PTH110 - the word as it was typed, which may be no path
        _say(f"{command[0]}: {'not an executable' if there else 'command not found'}")
        return NOT_EXECUTABLE if there else NOT_FOUND
    try:
        shared = None if port is not None or settings or web else running.find(paths.workspace_dir())
        if shared is not None:
            return _run_behind(shared, command)
        return _run_behind_own(command, port or 0, settings, web)
    except HeadroomError as error:
        _say(error.message)
        return FAILED


def _run_behind_own(command: Sequence[str], port: int, settings: Sequence[str], web: bool) -> int:
    with OwnProxy(port, settings, web) as proxy:
        if proxy.web:
            _say(f"mitmweb is at {proxy.web} while the command runs")
        _warn_of_another_proxy(os.environ)
        code = _attend(command, client_environment(os.environ, proxy.url, proxy.certificate, proxy.workspace))
    if proxy.sums is None:
        _say(f"the proxy ended badly; its log: {proxy.log}")
    else:
        _say(in_one_line(proxy.sums))
    return code


def _run_behind(proxy: running.Running, command: Sequence[str]) -> int:
    workspace, certificate = paths.workspace_dir(), authority.certificate_path(proxy.confdir)
    began = time.time()
    code = _attend(command, client_environment(os.environ, proxy.url, certificate, workspace))
    time.sleep(SETTLE_SECONDS)
    ledger = Ledger(paths.ledger_path())
    try:
        sums = ledger.totals(since=began)
    finally:
        ledger.close()
    _say(f"{in_one_line(sums)} (all that used this workspace meanwhile)")
    return code


def _attend(command: Sequence[str], environment: Mapping[str, str]) -> int:
    """Run a command to its end: signals are passed on, and when it stops we stop, so that the shell sees it."""
    process = 0
    early: list[int] = []  # came before we knew of the process, though it may run already

    def pass_on(number: int, _: FrameType | None) -> None:
        if not process:
            early.append(number)
        elif not (number in _FROM_KEYS and _in_foreground()):  # else the terminal has sent it to the command too
            os.kill(process, number)

    before = {number: signal.signal(number, pass_on) for number in _PASSED_ON}
    try:
        process = os.posix_spawnp(
            command[0], list(command), environment, setsigdef=[signal.SIGPIPE]
        )  # Python ignores it
        for number in early:
            os.kill(process, number)
        while True:
            _, status = os.waitpid(process, os.WUNTRACED)
            if not os.WIFSTOPPED(status):
                break
            goes_on, _ = os.waitpid(process, os.WNOHANG | os.WCONTINUED)
            if not goes_on:  # it has stopped itself; Ctrl-Z stops us anyway
                os.kill(os.getpid(), signal.SIGSTOP)
                os.kill(process, signal.SIGCONT)
    except OSError as error:
        _say(f"{command[0]}: {error.strerror}")
        return NOT_EXECUTABLE
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


def _in_foreground() -> bool:
    """Whether the terminal's keys reach us, and the command with us."""
    try:
        terminal = os.open("/dev/tty", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:
        return False
    finally:
        os.close(terminal)


def _warn_of_another_proxy(environment: Mapping[str, str]) -> None:
    """A proxy that the user needs to get out is not used by ours unless it is told to."""
    url = next((environment[name] for name in PROXY if environment.get(name)), "")
    host = urlsplit(url).hostname if url else None
    if host and host not in ("127.0.0.1", "localhost", "::1"):
        _say(f"{PROXY[0]} named a proxy at {host}, which is not used; to go through it: --set mode=upstream:URL")


def _say(text: str) -> None:
    print(f"headroom: {text}", file=sys.stderr, flush=True)
