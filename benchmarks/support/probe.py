"""A mitmproxy script: how long the event loop could not run what was due.

GET http://probe.test/ answers with what was measured since the last time: for each sleep of a millisecond how many
seconds too late it ended (``late``), and how much of that this process was computing (``blocked``): a loop that waits
because other processes keep the cores busy was not blocked by this one. ``longest`` is the most, ``often``
what one in a thousand exceeds. ``step longest`` is what the loop's thread computed at most in one step, that is in one
callback: many short ones may be due at once, when many clients are. ``computed`` is what the process computed in all.
"""

import asyncio
import json
import time
from asyncio import events
from typing import Any

from mitmproxy import http

PAUSE = 0.001
_run: Any = events.Handle._run


class Probe:
    def __init__(self) -> None:
        self.late: list[float] = []
        self.blocked: list[float] = []
        self.step = 0.0
        self.computed = time.process_time()
        self.task: asyncio.Task[None] | None = None

    def running(self) -> None:
        def timed(handle: events.Handle) -> None:
            began = time.thread_time()
            _run(handle)
            self.step = max(self.step, time.thread_time() - began)

        events.Handle._run = timed  # type: ignore[method-assign, assignment]
        self.task = asyncio.get_running_loop().create_task(self.measure())

    async def measure(self) -> None:
        while True:
            began, computed = time.perf_counter(), time.process_time()
            await asyncio.sleep(PAUSE)
            late = time.perf_counter() - began - PAUSE
            self.late.append(late)
            self.blocked.append(min(late, time.process_time() - computed))

    def request(self, flow: http.HTTPFlow) -> None:
        if flow.request.pretty_host == "probe.test":
            found = {
                **_figures("late", self.late),
                **_figures("blocked", self.blocked),
                "step longest": self.step,
                "computed": time.process_time() - self.computed,
            }
            flow.response = http.Response.make(200, json.dumps(found))
            self.late.clear()
            self.blocked.clear()
            self.step = 0.0
            self.computed = time.process_time()

    def done(self) -> None:
        if self.task is not None:
            self.task.cancel()


def _figures(name: str, values: list[float]) -> dict[str, float]:
    ordered = sorted(values) or [0.0]
    return {f"{name} longest": ordered[-1], f"{name} often": ordered[int(0.999 * len(ordered))]}


addons = [Probe()]
