"""A mitmproxy script for tests: changes the proxy while it runs, and makes the engine fail when a request asks for it.

POST http://control.test/options or /environment with a JSON object sets options or variables of the proxy, /clock lets
``seconds`` pass; the answer is 200, or 400 with what mitmproxy said. A provider request with the header x-fault gets an
engine that raises ("raise"), takes so many seconds before it begins ("late 0.6") or after it has decided ("slow 0.6"),
or that is late and then fails to hold what was decided before ("lost 0.6").
"""

import json
import os
import time
from typing import Any

from mitmproxy import ctx, exceptions, http

from headroom.engine import Engine, RawRequest, Rewrite

_rewrite, _hold, _time = Engine.rewrite, Engine.hold, time.time


def faulty(engine: Engine, request: RawRequest, *arguments: Any) -> Rewrite:
    fault, _, seconds = request.headers.get("x-fault", "").partition(" ")
    if fault == "raise":
        raise RuntimeError(f"cannot read {request.body!r}")
    if fault in ("late", "lost"):
        time.sleep(float(seconds))
    rewrite = _rewrite(engine, request, *arguments)
    if fault == "slow":
        time.sleep(float(seconds))
    return rewrite


def forgetful(engine: Engine, request: RawRequest) -> Rewrite:
    if request.headers.get("x-fault", "").startswith("lost"):
        raise RuntimeError("cannot hold")
    return _hold(engine, request)


class Control:
    passed = 0.0

    def request(self, flow: http.HTTPFlow) -> None:
        if flow.request.pretty_host != "control.test":
            return
        wanted = json.loads(flow.request.content or b"{}")
        try:
            if flow.request.path == "/options":
                ctx.options.update(**wanted)
            elif flow.request.path == "/clock":
                self.passed += wanted["seconds"]
                time.time = lambda: _time() + self.passed
            else:
                os.environ.update(wanted)
        except exceptions.OptionsError as error:
            flow.response = http.Response.make(400, str(error))
        else:
            flow.response = http.Response.make(200)


Engine.rewrite = faulty  # type: ignore[method-assign, assignment]
Engine.hold = forgetful  # type: ignore[method-assign, assignment]
addons = [Control()]
