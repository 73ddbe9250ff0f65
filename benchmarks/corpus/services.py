"""Outputs of services that are not at hand, written in the form that they have: clusters, GitHub, builds, logs.

Each function gives the text and the facts that it planted. The same on every machine: the seed is fixed.
"""

import json
from random import Random

from benchmarks.corpus import Fact

Planted = tuple[str, list[Fact]]

_HEX = "0123456789abcdef"


def _hex(random: Random, digits: int) -> str:
    return "".join(random.choice(_HEX) for _ in range(digits))


def _uid(random: Random) -> str:
    return "-".join(_hex(random, digits) for digits in (8, 4, 4, 4, 12))


def _time(minute: int) -> str:
    return f"2024-05-{6 + minute // 1440:02d}T{minute // 60 % 24:02d}:{minute % 60:02d}:{minute * 37 % 60:02d}Z"


def kubectl_pods_json() -> Planted:
    """``kubectl get pods -o json``: eight pods, one of which is killed again and again."""
    random = Random(1)
    names = (
        "cart",
        "checkout",
        "catalog",
        "gateway",
        "ledger",
        "mail",
        "search",
        "stock",
    )
    pods = [_pod(random, name, number, sick=name == "ledger") for number, name in enumerate(names)]
    whole = {"apiVersion": "v1", "items": pods, "kind": "List", "metadata": {"resourceVersion": ""}}
    facts: list[Fact] = [
        (pods[4]["metadata"]["name"], "CrashLoopBackOff"),
        "back-off 5m0s restarting failed container=ledger",
        ("137", "OOMKilled"),
        (pods[4]["metadata"]["name"], "41"),
        "registry.example.org/shop/ledger:1.4.2-rc1",
        *(pod["metadata"]["name"] for pod in pods),
        *(pod["status"]["podIP"] for pod in pods[3:6]),
        pods[7]["metadata"]["uid"],
    ]
    return json.dumps(whole, indent=4) + "\n", facts


def _pod(random: Random, app: str, number: int, sick: bool) -> dict:  # type: ignore[type-arg]
    template = _hex(random, 9)
    name = f"{app}-{template}-{_hex(random, 5)}"
    node, started = f"worker-{1 + number % 3}", _time(300 + 7 * number)
    image = f"registry.example.org/shop/{app}:{'1.4.2-rc1' if sick else '1.4.1'}"
    ready = "False" if sick else "True"
    limits = {"limits": {"cpu": "500m", "memory": "256Mi"}, "requests": {"cpu": "100m", "memory": "128Mi"}}
    account = "/var/run/secrets/kubernetes.io/serviceaccount"
    container_id = f"containerd://{_hex(random, 64)}"
    running = {"running": {"startedAt": started}}
    waiting = {
        "waiting": {
            "message": f"back-off 5m0s restarting failed container={app} pod={name}_shop({_uid(random)})",
            "reason": "CrashLoopBackOff",
        }
    }
    last = {
        "terminated": {
            "containerID": container_id,
            "exitCode": 137,
            "finishedAt": _time(700),
            "reason": "OOMKilled",
            "startedAt": _time(699),
        }
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "creationTimestamp": started,
            "generateName": f"{app}-{template}-",
            "labels": {"app": app, "pod-template-hash": template, "tier": "backend"},
            "name": name,
            "namespace": "shop",
            "ownerReferences": [
                {
                    "apiVersion": "apps/v1",
                    "blockOwnerDeletion": True,
                    "controller": True,
                    "kind": "ReplicaSet",
                    "name": f"{app}-{template}",
                    "uid": _uid(random),
                }
            ],
            "resourceVersion": str(random.randrange(800_000, 900_000)),
            "uid": _uid(random),
        },
        "spec": {
            "containers": [
                {
                    "env": [
                        {"name": "LOG_LEVEL", "value": "info"},
                        {
                            "name": "DATABASE_URL",
                            "valueFrom": {"secretKeyRef": {"key": "url", "name": f"{app}-database"}},
                        },
                    ],
                    "image": image,
                    "imagePullPolicy": "IfNotPresent",
                    "livenessProbe": {
                        "failureThreshold": 3,
                        "httpGet": {"path": "/healthz", "port": 8080, "scheme": "HTTP"},
                        "periodSeconds": 10,
                        "successThreshold": 1,
                        "timeoutSeconds": 1,
                    },
                    "name": app,
                    "ports": [{"containerPort": 8080, "protocol": "TCP"}],
                    "resources": limits,
                    "terminationMessagePath": "/dev/termination-log",
                    "terminationMessagePolicy": "File",
                    "volumeMounts": [
                        {"mountPath": account, "name": f"kube-api-access-{_hex(random, 5)}", "readOnly": True}
                    ],
                }
            ],
            "dnsPolicy": "ClusterFirst",
            "enableServiceLinks": True,
            "nodeName": node,
            "priority": 0,
            "restartPolicy": "Always",
            "schedulerName": "default-scheduler",
            "serviceAccountName": "default",
            "terminationGracePeriodSeconds": 30,
            "tolerations": [
                {
                    "effect": "NoExecute",
                    "key": f"node.kubernetes.io/{why}",
                    "operator": "Exists",
                    "tolerationSeconds": 300,
                }
                for why in ("not-ready", "unreachable")
            ],
        },
        "status": {
            "conditions": [
                {"lastProbeTime": None, "lastTransitionTime": started, "status": status, "type": kind}
                for kind, status in (
                    ("Initialized", "True"),
                    ("Ready", ready),
                    ("ContainersReady", ready),
                    ("PodScheduled", "True"),
                )
            ],
            "containerStatuses": [
                {
                    "containerID": container_id,
                    "image": image,
                    "imageID": f"registry.example.org/shop/{app}@sha256:{_hex(random, 64)}",
                    "lastState": last if sick else {},
                    "name": app,
                    "ready": not sick,
                    "restartCount": 41 if sick else 0,
                    "started": not sick,
                    "state": waiting if sick else running,
                }
            ],
            "hostIP": f"10.0.0.{11 + number % 3}",
            "phase": "Running",
            "podIP": f"10.42.{number % 3}.{random.randrange(10, 250)}",
            "qosClass": "Burstable",
            "startTime": started,
        },
    }


def kubectl_pods_table() -> Planted:
    """``kubectl get pods -A -o wide``: 70 pods, three of which are not well."""
    random = Random(2)
    spaces = {"shop": 30, "monitoring": 14, "kube-system": 18, "ingress": 8}
    sick = {
        12: ("0/1", "ImagePullBackOff", "0"),
        41: ("1/2", "CrashLoopBackOff", "318 (2m11s ago)"),
        60: ("0/1", "Pending", "0"),
    }
    rows = [
        ("NAMESPACE", "NAME", "READY", "STATUS", "RESTARTS", "AGE", "IP", "NODE", "NOMINATED NODE", "READINESS GATES")
    ]
    facts: list[Fact] = []
    for space, pods in spaces.items():
        for _ in range(pods):
            number = len(rows)
            app = random.choice(("api", "worker", "proxy", "cache", "exporter", "agent", "sync"))
            name = f"{app}-{_hex(random, 9)}-{_hex(random, 5)}"
            ready, status, restarts = sick.get(number, ("1/1", "Running", "0"))
            address = "<none>" if status == "Pending" else f"10.42.{number % 3}.{random.randrange(2, 250)}"
            node = "<none>" if status == "Pending" else f"worker-{1 + number % 3}"
            rows.append((space, name, ready, status, restarts, "12d", address, node, "<none>", "<none>"))
            if number in sick:
                facts.append((name, ready, status))
            elif number % 17 == 0:
                facts.append((name, address))
    facts.append("318 (2m11s ago)")
    widths = [max(map(len, column)) + 3 for column in zip(*rows, strict=True)]
    lines = ["".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join(lines) + "\n", facts


def github_issues() -> Planted:
    """``GET /repos/{owner}/{repo}/issues``: nine issues and pull requests as the REST API shows them."""
    random = Random(3)
    titles = (
        "Timeouts are counted twice when a retry follows a redirect",
        "Docs: say which events close the pool",
        "Bump the lower bound of the TLS library",
        "Memory grows by 3 MB a minute with keep-alive off",
        "Add a hook that runs before each retry",
        "Flaky: test_many_streams fails one time in forty on macOS",
        "Cookies of a subdomain are sent to its parent",
        "Proxy credentials stand in debug logs",
        "Support zstd in content-encoding",
    )
    issues = [_issue(random, 4180 + 7 * i, title, pull=i in (2, 4)) for i, title in enumerate(titles)]
    issues[7]["labels"].append(_label("security", "b60205", "Reported in private first"))
    issues[7]["body"] = (
        "With `DEBUG=1` the line `connect via http://user:secret@proxy:3128` is written. Seen in 5.2.0 to 5.2.3."
    )
    issues[3]["reactions"]["+1"] = issues[3]["reactions"]["total_count"] = 148
    facts: list[Fact] = [
        *((str(issue["number"]), issue["title"]) for issue in issues),
        (issues[7]["title"], "security"),
        "connect via http://user:secret@proxy:3128",
        "148",
        (issues[2]["title"], f"https://github.com/acme/wire/pull/{issues[2]['number']}.diff"),
        "Extra attention is needed",
    ]
    return json.dumps(issues, indent=2) + "\n", facts


def _label(name: str, color: str, description: str) -> dict[str, object]:
    number = 3_000_000_000 + sum(map(ord, name)) * 7919
    url = f"https://api.github.com/repos/acme/wire/labels/{name.replace(' ', '%20')}"
    return {
        "id": number,
        "node_id": f"LA_kwDOAB{number}",
        "url": url,
        "name": name,
        "color": color,
        "default": name != "security",
        "description": description,
    }


def _user(random: Random) -> dict[str, object]:
    login = random.choice(("mirelle-h", "okonkwo", "tz-bauer", "lin-dao", "pavlov-q"))
    number = 10_000 + sum(map(ord, login)) * 113
    url = f"https://api.github.com/users/{login}"
    return {
        "login": login,
        "id": number,
        "node_id": f"MDQ6VXNlcj{number}",
        "avatar_url": f"https://avatars.githubusercontent.com/u/{number}?v=4",
        "gravatar_id": "",
        "url": url,
        "html_url": f"https://github.com/{login}",
        "followers_url": f"{url}/followers",
        "following_url": f"{url}/following{{/other_user}}",
        "gists_url": f"{url}/gists{{/gist_id}}",
        "starred_url": f"{url}/starred{{/owner}}{{/repo}}",
        "subscriptions_url": f"{url}/subscriptions",
        "organizations_url": f"{url}/orgs",
        "repos_url": f"{url}/repos",
        "events_url": f"{url}/events{{/privacy}}",
        "received_events_url": f"{url}/received_events",
        "type": "User",
        "user_view_type": "public",
        "site_admin": False,
    }


def _issue(random: Random, number: int, title: str, pull: bool) -> dict:  # type: ignore[type-arg]
    url = f"https://api.github.com/repos/acme/wire/issues/{number}"
    page = f"https://github.com/acme/wire/{'pull' if pull else 'issues'}/{number}"
    since, opened = random.choice(("5.1", "5.2")), random.randrange(2, 90)
    body = f"### What happens\n\n{title}, since {since}.\n\n### Steps\n\n1. open {opened} connections\n2. wait\n"
    labels = [_label("bug", "d73a4a", "Something isn't working")] if random.random() < 0.6 else []
    if number % 5 == 0:
        labels.append(_label("help wanted", "008672", "Extra attention is needed"))
    issue: dict[str, object] = {
        "url": url,
        "repository_url": "https://api.github.com/repos/acme/wire",
        "labels_url": f"{url}/labels{{/name}}",
        "comments_url": f"{url}/comments",
        "events_url": f"{url}/events",
        "html_url": page,
        "id": 2_100_000_000 + number * 991,
        "node_id": f"I_kwDOABCDEF{number * 991}",
        "number": number,
        "title": title,
        "user": _user(random),
        "labels": labels,
        "state": "open",
        "locked": False,
        "assignee": None,
        "assignees": [],
        "milestone": None,
        "comments": random.randrange(0, 30),
        "created_at": _time(number % 900),
        "updated_at": _time(number % 900 + random.randrange(2000, 9000)),
        "closed_at": None,
        "author_association": random.choice(("NONE", "CONTRIBUTOR", "MEMBER")),
        "active_lock_reason": None,
        "body": body,
        "closed_by": None,
        "reactions": {
            "url": f"{url}/reactions",
            "total_count": 0,
            **dict.fromkeys(("+1", "-1", "laugh", "hooray", "confused", "heart", "rocket", "eyes"), 0),
        },
        "timeline_url": f"{url}/timeline",
        "performed_via_github_app": None,
        "state_reason": None,
    }
    if pull:
        issue["draft"] = False
        issue["pull_request"] = {
            "url": f"https://api.github.com/repos/acme/wire/pulls/{number}",
            "html_url": page,
            "diff_url": f"{page}.diff",
            "patch_url": f"{page}.patch",
            "merged_at": None,
        }
    return issue


def docker_build() -> Planted:
    """``docker build --progress=plain``: layers, downloads, and a step that fails."""
    random = Random(4)
    lines = [
        '#0 building with "default" instance using docker driver',
        "",
        "#1 [internal] load build definition from Dockerfile",
        "#1 transferring dockerfile: 1.02kB done",
        "#1 DONE 0.0s",
        "",
        "#2 [internal] load metadata for docker.io/library/python:3.12-slim",
        "#2 DONE 1.3s",
        "",
        "#3 [1/7] FROM docker.io/library/python:3.12-slim@sha256:" + _hex(random, 64),
    ]
    for _ in range(5):
        digest, size = _hex(random, 64), random.randrange(3, 40)
        for step in range(1, 6):
            lines.append(f"#3 sha256:{digest} {size * step / 5:.2f}MB / {size:.2f}MB {step * 0.2:.1f}s")
        lines.append(f"#3 sha256:{digest} {size:.2f}MB / {size:.2f}MB 1.1s done")
        lines.append(f"#3 extracting sha256:{digest} 0.9s done")
    lines += ["#3 DONE 4.1s", "", "#4 [2/7] RUN apt-get update && apt-get install -y gcc libpq-dev"]
    packages = [f"lib{_hex(random, 4)}-dev" for _ in range(24)]
    for number, package in enumerate(packages):
        lines.append(
            f"#4 {2 + number / 10:.3f} Get:{number + 1} http://deb.debian.org/debian bookworm/main amd64 {package} "
            "amd64 "
            f"{random.randrange(1, 9)}.{random.randrange(10)}-{random.randrange(1, 5)} [{random.randrange(20, 900)} kB]"
        )
    for package in packages:
        lines.append(f"#4 6.114 Unpacking {package}:amd64 ...")
    for package in packages:
        lines.append(f"#4 8.340 Setting up {package}:amd64 ...")
    lines += [
        "#4 9.011 W: Some index files failed to download. They have been ignored, or old ones used instead.",
        "#4 DONE 9.4s",
    ]
    lines += [
        "",
        "#5 [3/7] COPY requirements.txt .",
        "#5 DONE 0.0s",
        "",
        "#6 [4/7] RUN pip install -r requirements.txt",
    ]
    wheels = (
        "attrs",
        "click",
        "httpx",
        "idna",
        "jinja2",
        "numpy",
        "orjson",
        "psycopg2",
        "pydantic",
        "redis",
        "rich",
        "uvicorn",
    )
    for number, wheel in enumerate(wheels):
        at, version = 1 + number * 0.31, f"{random.randrange(1, 9)}.{random.randrange(20)}.{random.randrange(9)}"
        lines.append(f"#6 {at:.3f} Collecting {wheel}=={version} (from -r requirements.txt (line {number + 1}))")
        if wheel == "psycopg2":
            lines.append(f"#6 {at + 0.2:.3f}   Downloading {wheel}-{version}.tar.gz (384 kB)")
        else:
            lines.append(
                f"#6 {at + 0.2:.3f}   Downloading {wheel}-{version}-py3-none-any.whl ({random.randrange(30, 900)} kB)"
            )
            lines.append(f"#6 {at + 0.3:.3f}      ━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━ 100% eta 0:00:00")
    failed = 'process "/bin/sh -c pip install -r requirements.txt" did not complete successfully: exit code: 1'
    lines += [
        "#6 6.902 Building wheels for collected packages: psycopg2",
        "#6 7.844   error: subprocess-exited-with-error",
        "#6 7.844   \N{MULTIPLICATION SIGN} python setup.py bdist_wheel did not run successfully.",
        "#6 7.844   │ exit code: 1",
        "#6 7.844   ╰─> [14 lines of output]",
        *(
            f"#6 7.844       copying lib/{name}.py -> build/lib.linux-x86_64-cpython-312/psycopg2"
            for name in ("__init__", "_json", "_range", "errorcodes", "extras", "pool", "sql", "tz")
        ),
        "#6 7.844       ./psycopg/psycopg.h:35:10: fatal error: Python.h: No such file or directory",
        "#6 7.844          35 | #include <Python.h>",
        "#6 7.844       compilation terminated.",
        "#6 7.844       error: command '/usr/bin/gcc' failed with exit code 1",
        "#6 7.846   ERROR: Failed building wheel for psycopg2",
        f"#6 ERROR: {failed}",
        "------",
        " > [4/7] RUN pip install -r requirements.txt:",
        "7.844       error: command '/usr/bin/gcc' failed with exit code 1",
        "------",
        "Dockerfile:14",
        "--------------------",
        "  12 |     COPY requirements.txt .",
        "  13 |     ",
        "  14 | >>> RUN pip install -r requirements.txt",
        "  15 |     COPY shop ./shop",
        "--------------------",
        f"ERROR: failed to solve: {failed}",
    ]
    facts: list[Fact] = [
        "./psycopg/psycopg.h:35:10: fatal error: Python.h: No such file or directory",
        "error: command '/usr/bin/gcc' failed with exit code 1",
        "ERROR: Failed building wheel for psycopg2",
        "W: Some index files failed to download. They have been ignored, or old ones used instead.",
        "Dockerfile:14",
        ">>> RUN pip install -r requirements.txt",
        "ERROR: failed to solve: process",
        "[2/7] RUN apt-get update && apt-get install -y gcc libpq-dev",
        "python:3.12-slim@sha256:",
    ]
    return "\n".join(lines) + "\n", facts
