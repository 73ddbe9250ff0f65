"""Descriptions, tables, logs and pages as programs write them, with odd ones among many that are alike.

Each function gives the text and the facts that it planted. The same on every machine: the seed is fixed.
"""

import json
import math
from pathlib import Path
from random import Random
from string import Template
from typing import Any

from benchmarks.corpus import Fact
from benchmarks.corpus.services import Planted

ROOT = "https://api.example.org"
PAGE = Path(__file__).parent / "projects" / "page.html"


def openapi_json() -> Planted:
    """An OpenAPI description as a web framework prints it."""
    return json.dumps(_openapi(), indent=2) + "\n", _OPENAPI_FACTS


def openapi_yaml() -> Planted:
    """The same description as YAML."""
    return "\n".join(_yaml(_openapi(), 0)) + "\n", _OPENAPI_FACTS


_OPENAPI_FACTS: list[Fact] = [
    "/parcels/{parcel_id}/reroute",
    "Reroutes a parcel that is on its way; at most once",
    "reroute_parcel_parcels__parcel_id__reroute_post",
    "423",
    "Locked: the parcel is at customs",
    "X-Customs-Reference",
    ("ParcelIn", "weight_g", "31500"),
    "^[A-Z]{2}[0-9]{9}[A-Z]{2}$",
    "/depots/{depot_id}",
    "list_invoices_invoices_get",
    "DepotOut",
]


def _openapi() -> dict[str, Any]:
    things = {"parcel": "parcels", "depot": "depots", "courier": "couriers", "invoice": "invoices", "zone": "zones"}
    paths: dict[str, Any] = {}
    schemas: dict[str, Any] = {}
    for thing, many in things.items():
        name = thing.capitalize()
        one = {
            "name": f"{thing}_id",
            "in": "path",
            "required": True,
            "schema": {"type": "string", "format": "uuid", "title": f"{name} Id"},
        }
        pages = [
            {
                "name": which,
                "in": "query",
                "required": False,
                "schema": {"type": "integer", "minimum": 0, "default": start, "title": which.capitalize()},
            }
            for which, start in (("offset", 0), ("limit", 50))
        ]
        paths[f"/{many}"] = {
            "get": _operation(f"List {many.capitalize()}", f"list_{many}_{many}_get", thing, pages, [f"{name}Out"]),
            "post": _operation(f"Create {name}", f"create_{thing}_{many}_post", thing, [], f"{name}Out", f"{name}In"),
        }
        paths[f"/{many}/{{{thing}_id}}"] = {
            verb: _operation(
                f"{word} {name}",
                f"{word.lower()}_{thing}_{many}__{thing}_id__{verb}",
                thing,
                [one],
                f"{name}Out",
                f"{name}In" if verb == "put" else None,
            )
            for verb, word in (("get", "Read"), ("put", "Replace"), ("delete", "Delete"))
        }
        fields = {
            "name": {"type": "string", "maxLength": 80, "title": "Name"},
            "created": {"type": "string", "format": "date-time", "title": "Created"},
            "active": {"type": "boolean", "default": True, "title": "Active"},
        }
        if thing == "parcel":
            fields["weight_g"] = {"type": "integer", "maximum": 31500, "title": "Weight G"}
            fields["number"] = {"type": "string", "pattern": "^[A-Z]{2}[0-9]{9}[A-Z]{2}$", "title": "Number"}
        identity = {"id": {"type": "string", "format": "uuid", "title": "Id"}}
        schemas[f"{name}In"] = {"properties": fields, "type": "object", "required": ["name"], "title": f"{name}In"}
        schemas[f"{name}Out"] = {
            "properties": identity | fields,
            "type": "object",
            "required": ["id", "name", "created"],
            "title": f"{name}Out",
        }
    reroute = _operation(
        "Reroute Parcel",
        "reroute_parcel_parcels__parcel_id__reroute_post",
        "parcel",
        [
            paths["/parcels/{parcel_id}"]["get"]["parameters"][0],
            {
                "name": "X-Customs-Reference",
                "in": "header",
                "required": False,
                "schema": {"type": "string", "title": "X-Customs-Reference"},
            },
        ],
        "ParcelOut",
        "ParcelIn",
    )
    reroute["description"] = "Reroutes a parcel that is on its way; at most once"
    reroute["responses"]["423"] = {"description": "Locked: the parcel is at customs"}
    paths["/parcels/{parcel_id}/reroute"] = {"post": reroute}
    error = {"loc": {"type": "array", "title": "Location"}, "msg": {"type": "string", "title": "Message"}}
    schemas["ValidationError"] = {"properties": error, "type": "object", "title": "ValidationError"}
    return {
        "openapi": "3.1.0",
        "info": {"title": "Parcels", "version": "2.8.1"},
        "servers": [{"url": ROOT}],
        "paths": paths,
        "components": {"schemas": schemas},
    }


def _operation(
    summary: str, name: str, tag: str, parameters: list[Any], answer: str | list[str], body: str | None = None
) -> dict[str, Any]:
    def content(schema: dict[str, Any]) -> dict[str, Any]:
        return {"application/json": {"schema": schema}}

    def reference(schema: str) -> dict[str, Any]:
        return {"$ref": f"#/components/schemas/{schema}"}

    schema = {"type": "array", "items": reference(answer[0])} if isinstance(answer, list) else reference(answer)
    operation: dict[str, Any] = {"tags": [tag], "summary": summary, "operationId": name}
    if parameters:
        operation["parameters"] = parameters
    if body:
        operation["requestBody"] = {"required": True, "content": content(reference(body))}
    operation["responses"] = {
        "200": {"description": "Successful Response", "content": content(schema)},
        "422": {"description": "Validation Error", "content": content(reference("ValidationError"))},
    }
    return operation


def _yaml(value: Any, indent: int) -> list[str]:
    """Block YAML as the usual libraries print it."""
    space = "  " * indent
    lines: list[str] = []
    if isinstance(value, dict):
        for key, part in value.items():
            name = f"'{key}'" if key.isdigit() else key
            if isinstance(part, dict | list) and part:
                lines += [f"{space}{name}:", *_yaml(part, indent + isinstance(part, dict))]
            else:
                lines.append(f"{space}{name}: {_scalar(part)}")
        return lines
    for part in value:
        if isinstance(part, dict):
            first, *rest = _yaml(part, indent + 1)
            lines += [f"{space}- {first.lstrip()}", *rest]
        else:
            lines.append(f"{space}- {_scalar(part)}")
    return lines


def _scalar(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str) and (not value or value[0] in "#^[{" or ": " in value):
        return f"'{value}'"
    return json.dumps(value) if isinstance(value, dict | list) else str(value)


def metrics_csv() -> Planted:
    """Minutes of a service as a monitoring system exports them: a steady day, one outage, one wrong row."""
    random = Random(11)
    lines = ["time,host,region,requests,errors,p50_ms,p99_ms,cpu,version"]
    for minute in range(0, 1440, 5):
        requests = int(900 + 500 * math.sin(minute / 229) + random.randrange(40))
        row = [
            requests,
            random.randrange(3),
            18 + random.randrange(4),
            90 + random.randrange(25),
            31 + random.randrange(9),
        ]
        if 815 <= minute <= 825:
            row = [requests // 9, 412 + minute, 2210, 9840 + minute, 97]
        if minute == 1105:
            row[0] = -1
        time, version = f"2024-05-06T{minute // 60:02d}:{minute % 60:02d}:00Z", "3.9.1" if minute < 960 else "3.9.2"
        lines.append(",".join(map(str, (time, "edge-7", "eu-north", *row[:4], f"0.{row[4]}", version))))
    facts: list[Fact] = [
        ("13:35:00", "1227", "10655"),
        ("13:40:00", "1232", "10660"),
        ("13:45:00", "1237", "10665"),
        ("18:25:00", "-1"),
        "edge-7",
        "eu-north",
        ("2024-05-06T16:00:00Z", "3.9.2"),
        "2024-05-06T00:00:00Z",
        "2024-05-06T23:55:00Z",
    ]
    return "\n".join(lines) + "\n", facts


def access_log() -> Planted:
    """A web server's log in the combined format, with a scanner and a slow upload among the visitors."""
    random = Random(12)
    agents = (
        "Mozilla/5.0 (X11; Linux x86_64; rv:125.0) Gecko/20100101 Firefox/125.0",
        "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.4 "
        "Safari/605.1.15",
        "okhttp/4.12.0",
    )
    paths = (
        "/",
        "/search?q=tent",
        "/cart",
        "/static/app.css",
        "/static/app.js",
        "/product/4430",
        "/product/4452",
        "/api/v1/stock",
    )
    lines: list[str] = []
    for number in range(220):
        visitor, path, agent = f"203.0.113.{number % 23 + 4}", paths[random.randrange(8)], agents[number % 3]
        status, size, verb = 304 if path.startswith("/static") else 200, random.randrange(300, 20_000), "GET"
        if number in (66, 67, 68):
            visitor, path, status, size, agent = (
                "198.51.100.77",
                ("/.env", "/wp-login.php", "/.git/config")[number - 66],
                404,
                162,
                "zgrab/0.x",
            )
        elif number == 131:
            verb, path, status, size = "POST", "/api/v1/import", 502, 559
        elif number == 190:
            verb, path, status, size = "POST", "/api/v1/upload", 413, 183
        time = f"06/May/2024:{9 + number // 60:02d}:{number % 60:02d}:{number * 13 % 60:02d} +0000"
        lines.append(f'{visitor} - - [{time}] "{verb} {path} HTTP/1.1" {status} {size} "-" "{agent}"')
    facts: list[Fact] = [
        ("198.51.100.77", "GET /.env HTTP/1.1", "404"),
        "/wp-login.php",
        "/.git/config",
        "zgrab/0.x",
        ("POST /api/v1/import HTTP/1.1", "502 559"),
        ("POST /api/v1/upload HTTP/1.1", "413 183"),
        "06/May/2024:12:39:27",
        "06/May/2024:09:00:00",
    ]
    return "\n".join(lines) + "\n", facts


def events_jsonl() -> Planted:
    """Structured log lines of a payment service: one refused card, one slow bank, one retry."""
    random = Random(13)
    lines: list[str] = []
    for number in range(150):
        event: dict[str, Any] = {
            "ts": f"2024-05-06T10:{number // 10:02d}:{number * 6 % 60:02d}.{random.randrange(1000):03d}Z",
            "level": "info",
            "service": "payments",
            "version": "7.2.0",
            "msg": "payment captured",
            "payment_id": f"pay_{random.randrange(10**9, 10**10)}",
            "bank": ("north", "delta", "first")[number % 3],
            "amount_cents": random.randrange(199, 30_000),
            "duration_ms": random.randrange(80, 140),
            "attempt": 1,
        }
        if number == 38:
            event |= {"level": "error", "msg": "card refused", "code": "do_not_honor", "amount_cents": 1_990_000}
        elif number == 77:
            event |= {"level": "warn", "msg": "bank is slow", "duration_ms": 28_417}
        elif number == 78:
            event |= {"attempt": 2}
        lines.append(json.dumps(event))
    odd = [json.loads(lines[number]) for number in (38, 77, 78)]
    facts: list[Fact] = [
        ("error", "card refused", odd[0]["payment_id"], "1990000"),
        "do_not_honor",
        ("warn", "bank is slow", odd[1]["payment_id"], "28417"),
        odd[2]["payment_id"],
        json.loads(lines[0])["payment_id"],
        json.loads(lines[-1])["payment_id"],
        "7.2.0",
    ]
    return "\n".join(lines) + "\n", facts


def documentation_page() -> Planted:
    """A page of a library's documentation as a browser gets it: much around the text."""
    links = [f"page-{number}" for number in range(60)]
    menu = "".join(
        f'<li class="toctree-l1 nav-item"><a class="reference internal nav-link" href="/en/stable/{link}.html" '
        f'title="{link}"><span class="nav-text">Chapter {link[5:]}</span></a></li>\n'
        for link in links
    )
    options = (
        ("retries", "int", "3", "How often a request is tried again."),
        ("backoff", "float", "0.5", "Seconds before the first retry; doubled each time."),
        ("pool_size", "int", "10", "Connections that are kept open to one host."),
        ("verify", "bool", "True", "Whether certificates are checked. Never turn it off in production."),
        ("trust_env", "bool", "False", "Whether proxies are read from the environment. Default changed in 4.0."),
    )
    cell = '<td><p><code class="docutils literal notranslate"><span class="pre">{}</span></code></p></td>'
    rows = "".join(
        f'<tr class="row-odd">{cell.format(name)}<td><p>{kind}</p></td><td><p>{default}</p></td><td><p>{words}</p></td>'
        "</tr>\n"
        for name, kind, default, words in options
    )
    style = "".join(
        f".admonition-{n}{{margin:{n}px;padding:.{n}em;border-left:.2rem solid #2962ff}}" for n in range(80)
    )
    script = "".join(f"window.__q=window.__q||[];window.__q.push(['set','k{n}',{n * 37}]);" for n in range(60))
    footer = " ".join(f'<a href="/legal/{link}">{link}</a>' for link in links[:20])
    text = Template(PAGE.read_text()).substitute(
        style=style, script=script, menu=menu, rows=rows, footer=footer, image="iVBORw0KGgoAAAANSUhEUgAAAAUA" * 40
    )
    facts: list[Fact] = [
        "Retries and timeouts",
        *(words for _, _, _, words in options),
        ("trust_env", "False"),
        "/en/stable/safety.html",
        "2 of 3 reports of hanging workers come from it",
        "timeout=wire.Timeout(connect=2.0, read=30.0),",
        "https://status.example.org/v2/summary.json",
        "wire.RetriesExhausted",
    ]
    return text, facts
