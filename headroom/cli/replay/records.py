"""Reading recorded traffic: HAR archives, mitmproxy's flows, and lines of JSON."""

import base64
import binascii
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from headroom.errors import ValidationError
from headroom.messages import shape_of
from headroom.wire.chain import Chain
from headroom.wire.targets import Target, target

ORIGINAL = "headroom_original"
"""Where a flow that went through headroom has the body as the client sent it."""
HOSTS: Mapping[str, tuple[str, str]] = {
    "anthropic": ("api.anthropic.com", "/v1/messages"),
    "openai-chat": ("api.openai.com", "/v1/chat/completions"),
    "openai-responses": ("api.openai.com", "/v1/responses"),
    "gemini": ("generativelanguage.googleapis.com", "/v1beta/models/{model}:generateContent"),
}


_CREATE = b'"response.create"'


@dataclass(frozen=True, slots=True)
class Recorded:
    """A model request and its answer. ``time`` is in unix seconds; headers have lower-case names."""

    time: float
    target: Target
    host: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    answer: bytes = b""
    answer_type: str = ""


@dataclass(slots=True)
class Tally:
    """What else was in a file: how many entries, by why they were passed over."""

    passed_over: Counter[str] = field(default_factory=Counter)


def read_records(file: Path, hosts: Mapping[str, str], tally: Tally) -> list[Recorded]:
    """The model requests in a file, oldest first. Raises ValidationError for a file of none of the three kinds."""
    kind = file.suffix.lower()
    try:
        if kind == ".har":
            found = list(_har(json.loads(file.read_bytes()), hosts, tally))
        elif kind in (".flow", ".flows", ".mitm"):
            found = list(_flows(file, hosts, tally))
        elif kind in (".jsonl", ".ndjson"):
            found = list(_lines(file, hosts, tally))
        else:
            raise ValidationError(
                f"{file.name} ends in {kind or 'nothing'!r}; expected .har, .flow or .jsonl", {"path": str(file)}
            )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        said = f"{type(error).__name__}: {error}"[:200]
        raise ValidationError(f"{file} can't be read as {kind[1:]}: {said}", {"path": str(file)}) from error
    return sorted(found, key=lambda one: one.time)


def _har(archive: Mapping[str, Any], hosts: Mapping[str, str], tally: Tally) -> Iterator[Recorded]:
    """http://www.softwareishard.com/blog/har-12-spec/"""
    for entry in archive["log"]["entries"]:
        asked, answer = entry["request"], entry.get("response") or {}
        data = asked.get("postData") or {}
        content = answer.get("content") or {}
        body = _text(data.get("text"), data.get("encoding") or data.get("_encoding"))
        yield from _recorded(
            datetime.fromisoformat(entry["startedDateTime"]).timestamp(),
            asked["method"],
            asked["url"],
            {header["name"].lower(): header["value"] for header in asked.get("headers", ())},
            body,
            int(answer.get("status") or 0),
            _text(content.get("text"), content.get("encoding")),
            str(content.get("mimeType") or ""),
            hosts,
            tally,
        )


def _flows(file: Path, hosts: Mapping[str, str], tally: Tally) -> Iterator[Recorded]:
    from mitmproxy import exceptions
    from mitmproxy.http import HTTPFlow
    from mitmproxy.io import FlowReader

    with file.open("rb") as opened:
        try:
            for flow in FlowReader(opened).stream():
                if not isinstance(flow, HTTPFlow):
                    tally.passed_over["no HTTP"] += 1
                    continue
                request, response = flow.request, flow.response
                original = flow.metadata.get(ORIGINAL)
                body = original if isinstance(original, bytes) else request.get_content(strict=False) or b""
                if flow.websocket is not None:
                    aim = target(request.pretty_host, request.port, request.path, request.method, hosts)
                    if aim is None or not aim.rewritable:
                        tally.passed_over["no model request"] += 1
                        continue
                    headers = {name.lower(): value for name, value in request.headers.items()}
                    said = [(one.timestamp, one.from_client, one.content) for one in flow.websocket.messages]
                    for moment, body, answer in _asked(said):
                        yield Recorded(moment, aim, request.pretty_host, request.path, headers, body, answer)
                    continue
                yield from _recorded(
                    request.timestamp_start,
                    request.method,
                    request.pretty_url,
                    {name.lower(): value for name, value in request.headers.items()},
                    body,
                    response.status_code if response else 0,
                    (response.get_content(strict=False) or b"") if response else b"",
                    response.headers.get("content-type", "") if response else "",
                    hosts,
                    tally,
                )
        except exceptions.FlowReadException as error:
            raise ValueError(str(error)) from error


def _asked(messages: Iterable[tuple[float, bool, bytes]]) -> Iterator[tuple[float, bytes, bytes]]:
    """The requests on one of Codex's WebSockets, each with the whole conversation, and the events that answer it."""
    chain = Chain()
    moment, body, events = 0.0, b"", bytearray()
    for time, from_client, content in messages:
        if not from_client:
            chain.hear(content)
            events += b"data: " + content + b"\n\n"
        elif _CREATE in content:
            if body:
                yield moment, body, bytes(events)
            whole = chain.ask(content)
            moment, body, events = time, whole.body if whole else content, bytearray()
    if body:
        yield moment, body, bytes(events)


def _lines(file: Path, hosts: Mapping[str, str], tally: Tally) -> Iterator[Recorded]:
    """Each line is a request's body, or {url, body, time?, method?, headers?, status?, response?}."""
    with file.open("rb") as opened:
        for number, line in enumerate(opened):
            if not line.strip():
                continue
            try:
                value = json.loads(line)
            except ValueError as error:
                raise ValueError(f"line {number + 1} is no JSON ({error})") from error
            if not isinstance(value, dict):
                raise TypeError(f"line {number + 1} is no object")
            if "url" not in value:
                shape, body = _shape(value, number + 1), line.strip()
                host, path = HOSTS[shape]
                value = {"url": f"https://{host}{path.format(model=value.get('model', 'gemini'))}", "body": body}
            answer, moment = value.get("response", b""), value.get("time", number)
            yield from _recorded(
                float(moment) if isinstance(moment, int | float) else datetime.fromisoformat(moment).timestamp(),
                str(value.get("method", "POST")),
                str(value["url"]),
                {str(name).lower(): str(said) for name, said in (value.get("headers") or {}).items()},
                _raw(value.get("body", b"")),
                int(value.get("status", 200)),
                _raw(answer),
                "",
                hosts,
                tally,
            )


def _recorded(
    time: float,
    method: str,
    url: str,
    headers: Mapping[str, str],
    body: bytes,
    status: int,
    answer: bytes,
    answer_type: str,
    hosts: Mapping[str, str],
    tally: Tally,
) -> Iterator[Recorded]:
    """The request, if it is one to a model that was answered."""
    at = urlsplit(url)
    path = f"{at.path}?{at.query}" if at.query else at.path
    found = target(at.hostname or "", at.port, path, method, hosts)
    if found is None:
        tally.passed_over["no model request"] += 1
    elif found.kind == "count_tokens":
        tally.passed_over["counts tokens only"] += 1
    elif not found.rewritable or method != "POST":
        tally.passed_over[found.reason or "WebSocket"] += 1
    elif not body:
        tally.passed_over["without its body"] += 1
    elif status and not 200 <= status < 300:
        tally.passed_over[f"answered with {status}"] += 1
    else:
        yield Recorded(time, found, at.hostname or "", path, headers, body, answer, answer_type)


def _shape(body: Mapping[str, Any], number: int) -> str:
    """Of a request that stands alone."""
    if isinstance(body.get("contents"), list):
        return "gemini"
    if "input" in body and "messages" not in body:
        return "openai-responses"
    if isinstance(body.get("messages"), list):
        model = str(body.get("model") or "")
        return "anthropic" if "system" in body else shape_of(body["messages"], model)
    raise ValueError(f"line {number} has no url, and no messages, input or contents")


def _text(text: object, encoding: object) -> bytes:
    if not isinstance(text, str):
        return b""
    if encoding != "base64":
        return text.encode("utf-8", "surrogatepass")
    try:
        return base64.b64decode(text)
    except binascii.Error as error:
        raise ValueError(f"a body is no base64: {error}") from error


def _raw(value: object) -> bytes:
    if isinstance(value, bytes):
        return value
    return value.encode() if isinstance(value, str) else json.dumps(value, ensure_ascii=False).encode()
