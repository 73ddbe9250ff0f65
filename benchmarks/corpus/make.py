"""Make the corpus again: ``python -m benchmarks.corpus.make [file ...]``; without names, all of it.

What can be run is run, on the small projects in ``projects`` (tools.py); what needs a service (a cluster, GitHub, a
Docker daemon, a web server) is written by code in its true form (services.py, documents.py) and marked ``written`` in
facts.json. Outputs of tools that are not on this machine stay as they are. The JavaScript tools are installed from the
npm registry, once. Paths and names of this machine are replaced, and each planted fact is looked for before anything is
written: those of tools are kept by hand in facts.json, those of written outputs come from the code.
"""

import json
import shutil
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.corpus import FACTS, OUTPUTS, Fact, documents, missing, services, tools

LEAST, MOST = 3_500, 60_000
"""Characters of an output."""

WRITTEN: dict[str, Callable[[], services.Planted]] = {
    "kubectl-pods.json": services.kubectl_pods_json,
    "kubectl-pods.txt": services.kubectl_pods_table,
    "github-issues.json": services.github_issues,
    "docker-build.txt": services.docker_build,
    "openapi.json": documents.openapi_json,
    "openapi.yaml": documents.openapi_yaml,
    "metrics.csv": documents.metrics_csv,
    "access-log.txt": documents.access_log,
    "events.jsonl": documents.events_jsonl,
    "page.html": documents.documentation_page,
}


def main(names: Sequence[str]) -> int:
    known = json.loads(FACTS.read_text())
    with tempfile.TemporaryDirectory() as name:
        for file in names or known:
            text = made(file, Path(name))
            if text is None:
                print(f"{file}: no {tools.RUN[file].needs} here; left as it is")
                continue
            if isinstance(text, tuple):
                text, known[file]["facts"] = text
            check(file, text, known[file]["facts"])
            if file in tools.RUN:
                known[file]["arguments"] = {"command": tools.RUN[file].command}
            (OUTPUTS / file).write_text(text)
            print(f"{file}: {len(text):,} characters, {len(known[file]['facts'])} facts")
    FACTS.write_text(spelled(known))
    return 0


def made(file: str, folder: Path) -> str | services.Planted | None:
    """The text of an output, with its facts where code wrote it; None where the tool is not here."""
    if file in WRITTEN:
        return WRITTEN[file]()
    if file == "read.txt":
        return tools.numbered(Path(services.__file__))
    run = tools.RUN[file]
    return tools.scrubbed(tools.said(run.prepare(folder), run.command), folder) if shutil.which(run.needs) else None


def check(file: str, text: str, facts: Sequence[Fact]) -> None:
    """Raises ValueError for an output of another size than asked for, and for a fact that does not stand in it."""
    if not LEAST <= len(text) <= MOST:
        raise ValueError(f"{file} has {len(text)} characters; expected {LEAST} to {MOST}")
    if lost := missing(facts, text):
        raise ValueError(f"{file} does not say {lost}")


def spelled(known: dict[str, Any]) -> str:
    """facts.json with a line for each fact."""

    def one(value: object) -> str:
        return json.dumps(value, ensure_ascii=False)

    entries = []
    for file, entry in known.items():
        facts = ",\n      ".join(map(one, entry["facts"]))
        rest = "".join(f"    {one(key)}: {one(value)},\n" for key, value in entry.items() if key != "facts")
        entries.append(f'  {one(file)}: {{\n{rest}    "facts": [\n      {facts}\n    ]\n  }}')
    return "{\n" + ",\n".join(entries) + "\n}\n"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
