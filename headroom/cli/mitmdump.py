"""mitmdump with the addon: its command line, and how it is run."""

import logging
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from headroom.errors import HeadroomError

WEB = "--web"
"""Among the settings: be mitmweb."""
SCRIPTS = Path(__file__).with_name("scripts")


def settings_for(host: str, port: int, script: str, typed: Sequence[str]) -> list[str]:
    """Settings, ``name=value``, for ``run``: the packaged addon, ``script`` of this folder's, then what was typed.

    Scripts that were typed are loaded too, after ours.
    """
    spec = find_spec("headroom_addon")
    if spec is None or spec.origin is None:
        raise HeadroomError("headroom_addon.py is not installed beside this package", {"module": "headroom_addon"})
    scripts = (f"scripts={spec.origin}", f"scripts={SCRIPTS / script}")
    return [f"listen_host={host}", f"listen_port={port}", *scripts, *typed]


def run(settings: Sequence[str], web: bool = False) -> None:
    """Be mitmdump, or mitmweb, until it is told to end. ``settings`` win over config.yaml and must be known.

    mitmdump itself lets the file win over ``--set``, and passes over names that nobody knows. Raises
    ConfigurationError, and SystemExit with 1 when it could not start.
    """
    from mitmproxy.hooks import Hook
    from mitmproxy.master import Master
    from mitmproxy.options import Options
    from mitmproxy.tools import cmdline
    from mitmproxy.tools.main import run as mitmproxy

    from addon.settings import read_settings
    from headroom.cli.authority import make_authority
    from headroom.cli.settings import options

    known = options(settings)
    read_settings(known)
    make_authority(known.confdir, known.key_size)
    names = dict.fromkeys(setting.partition("=")[0] for setting in settings)
    seen: list[Options] = []

    @dataclass
    class HeadroomReadyHook(Hook):
        """Everything has started well; scripts have it as ``headroom_ready``."""

    class Telling(Master):
        async def running(self) -> None:
            await super().running()
            for name in names:
                if name in self.options.deferred:
                    logging.error("there is no option %s", name)
            await self.addons.get("errorcheck").shutdown_if_errored()
            await self.addons.trigger_event(HeadroomReadyHook())  # type: ignore[no-untyped-call]

    def parser(options: Options) -> ArgumentParser:
        seen.append(options)
        made: ArgumentParser = (cmdline.mitmweb if web else cmdline.mitmdump)(options)  # type: ignore[no-untyped-call]
        made.set_defaults(filter_args=())
        return made

    def set_again(_: Namespace) -> dict[str, object]:
        seen[0].set(*settings, defer=True)
        return {}

    if web:
        from mitmproxy.tools.web.master import WebMaster

        class Web(Telling, WebMaster):
            pass

        master: type[Master] = Web
    else:
        from mitmproxy.tools.dump import DumpMaster

        class Dump(Telling, DumpMaster):
            pass

        master = Dump
    mitmproxy(master, parser, [word for setting in settings for word in ("--set", setting)], set_again)


if __name__ == "__main__":
    try:
        run([word for word in sys.argv[1:] if word != WEB], WEB in sys.argv)
    except HeadroomError as error:
        sys.exit(error.message)
