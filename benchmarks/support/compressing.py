"""Run in an environment of its own: what ``compress`` of the ``headroom`` that is installed there costs.

Reads {"conversations": [...], "growing": [...], "model": ..., "rounds": ...} from standard input and prints figures as
JSON: processor time throughout, of the process with all its threads, so that others' work on the machine is not in it.
The package is imported by name, since ours and the published one have the same.
"""

import contextlib
import importlib
import json
import logging
import resource
import statistics
import sys
import time
from pathlib import Path
from typing import Any


def memory() -> float:
    """The most memory that this process has had until now, in MB. (Linux: what getrusage says is also the parent's.)"""
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    logging.disable(logging.CRITICAL)
    wanted = json.load(sys.stdin)
    before, start = memory(), time.process_time()
    package = importlib.import_module("headroom")
    figures: dict[str, Any] = {"import": time.process_time() - start, "calls": []}
    compress = package.compress
    figures["name"] = time.process_time() - start
    for number, messages in enumerate(wanted["conversations"]):
        took = []
        for _ in range(wanted["rounds"] + 1):
            start = time.process_time()
            result = compress(messages, model=wanted["model"])
            took.append(time.process_time() - start)
        again = statistics.median(took[1:])
        figures["calls"].append({"messages": result.messages, "first": took[0], "again": again})
        if number == 0:
            figures["cold"] = figures["name"] + took[0]
    start = time.process_time()
    sent = [compress(messages, model=wanted["model"]).messages for messages in wanted["growing"]]
    figures |= {"growing": time.process_time() - start, "sent": sent, "memory": memory() - before}
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
