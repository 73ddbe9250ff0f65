"""Run the benchmarks that are named, or all of them; options go to each."""

import importlib
import os
import pkgutil
import platform
import sys

from rich.console import Console

import benchmarks


def main(arguments: list[str]) -> int:
    """The worst exit code of the benchmarks run; 2 for an unknown name."""
    known = [module.name for module in pkgutil.iter_modules(benchmarks.__path__) if not module.ispkg]
    known.remove("__main__")
    first_option = next((i for i, word in enumerate(arguments) if word.startswith("-")), len(arguments))
    names, options = arguments[:first_option], arguments[first_option:]
    console = Console()
    unknown = sorted(set(names) - set(known))
    if unknown:
        console.print(f"no benchmark {', '.join(unknown)}; there are: {', '.join(known)}")
        return 2
    console.print(
        f"{os.cpu_count()} cores, {platform.machine()}, {platform.system()}, Python {platform.python_version()},"
        f" load {os.getloadavg()[0]:.1f} at the start"
    )
    return max([importlib.import_module(f"benchmarks.{name}").main(options) for name in names or known], default=0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
