"""What the commands of a shell line print: told from their names and options, without running anything."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from headroom.transforms import javascript

MAX_COMMAND = 4_000
"""Characters of a command line that are read, without here-documents."""

ECHO = "echo"
"""Kind of commands that print a line or two of their own choice."""

Words = list[str]


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_HEREDOC = re.compile(r"<<-?[ \t]*['\"]?(\w+)")
_WORD = re.compile(
    r"[ \t\r]+|\\\n|(?<!\S)#[^\n]*"
    r"|(?P<redirect>\d?>>?[ \t]*[^\s;&|()<>]+|\d?>&\d|&>>?[ \t]*\S+|<+[ \t]*[^\s;&|()<>]*)"
    r"|(?P<end>&&|\|\||[;&\n()])|(?P<pipe>\|)"
    r"|(?P<word>(?:'[^']*'|\"(?:\\.|[^\"\\])*\"|\\.|[^\s;&|()<>'\"\\])+|.)",
    re.S,
)
_TO_FILE = re.compile(r"(?:1?>>?|&>>?)[ \t]*(?!&|/dev/(?:std|tty|fd))\S")
_QUOTES = re.compile(r"['\"\\]")
_ASSIGNMENT = re.compile(r"\w+=")
_OPTION = re.compile(r"\w+=|-|\d+[smh]?\Z")
_SHELL = re.compile(r"\S*(?:sh|shell|cmd)(?:\.exe)?(?: -\w+)* (?:-\w*c|-Command|/[cC])")
_TEST_SCRIPT = re.compile(r"(?:run_?)?tests?(?:\.(?:sh|py))?|runtests(?:\.\w+)?|py\.?test.*")
_SCRIPT = re.compile(r"\S+\.(?:py|sh|js|ts|rb|pl)|python[\d.]*|node|ruby|perl|bash|sh|php")
_WRAPPERS = _words(
    "sudo env time nohup exec command stdbuf xargs do then else if while ! { builtin npx bunx pnpx timeout nice"
)


def command_of(arguments: Mapping[str, Any]) -> str:
    """The command line among the arguments of a shell tool; several become lines of one."""
    return "\n".join(commands_of(arguments))


def commands_of(arguments: Mapping[str, Any]) -> list[str]:
    """The command lines among the arguments of a shell tool.

    Codex sends one as a text, or as words of which the last is the script, or several in a script of JavaScript.
    """
    for name in ("command", "cmd", "script"):
        value = arguments.get(name)
        if isinstance(value, str):
            return [value]
        if isinstance(value, list) and value and all(isinstance(word, str) for word in value):
            return [str(value[-1]) if _SHELL.fullmatch(" ".join(value[:-1])) else " ".join(value)]
    several = arguments.get("commands")
    if isinstance(several, list):
        return [line for line in several if isinstance(line, str)]
    code = arguments.get("input")
    return javascript.commands(code) if isinstance(code, str) else []


def pipelines(command: str) -> list[list[Words]]:
    """The pipelines of a command line, each a list of commands as words; those that write to a file are left out."""
    found: list[list[Words]] = []
    pipeline: list[Words] = [[]]
    to_file = False
    for match in _WORD.finditer(_without_heredocs(command)[:MAX_COMMAND] + "\n"):
        kind = match.lastgroup
        if kind == "end":
            if any(pipeline) and not to_file:
                found.append([words for words in pipeline if words])
            pipeline, to_file = [[]], False
        elif kind == "pipe":
            pipeline.append([])
        elif kind == "redirect":
            to_file = to_file or _TO_FILE.match(match[0]) is not None
        elif kind == "word":
            pipeline[-1].append(_QUOTES.sub("", match[0]))
    return found


def _without_heredocs(command: str) -> str:
    if "<<" not in command:
        return command
    kept: list[str] = []
    ends = ""
    for line in command.split("\n"):
        if ends:
            ends = "" if line.strip() == ends else ends
            continue
        kept.append(line)
        opened = _HEREDOC.search(line)
        ends = opened[1] if opened else ""
    return "\n".join(kept)


def kinds(command: str) -> list[str]:
    """What each pipeline prints: names of kinds of the router, "" where nobody knows; silent ones are left out."""
    printed = [_printed(pipeline) for pipeline in pipelines(command)]
    if any(reads in command for reads in _READS) and "shell" in printed:
        printed.append("file")
    return [kind for kind in printed if kind is not None]


_READS = (".read_text(", "open(", "readlines(", "readFile", "getsource(", "linecache")
"""A script with one of these prints a file, maybe."""
_FILTERS = _words("head tail sort uniq tac tee less more cat grep egrep rg")
_REWRITERS = _words("sed awk gawk cut tr perl paste column nl fold")


def _printed(pipeline: list[Words]) -> str | None:
    kind = _kind(pipeline[0])
    for words in pipeline[1:]:
        name = _program(words)[0]
        if words[0] == "xargs":
            kind = _kind(words[1:])
        elif name in _REWRITERS and kind != "file":
            kind = "shell"
        elif name not in _FILTERS and name not in _REWRITERS:
            kind = _kind(words)
    return kind


def _program(words: Words) -> Words:
    """The command's words from its name on: variables, ``sudo``, ``timeout 5`` and the like taken off, no folder."""
    i = 0
    while i < len(words) - 1 and (words[i] in _WRAPPERS or (_OPTION if i else _ASSIGNMENT).match(words[i])):
        i += 1
    rest = words[i:] or [""]
    return [rest[0].rsplit("/", 1)[-1].lower() if "/" in rest[0] else rest[0], *rest[1:]]


def _kind(words: Words) -> str | None:
    """The kind of text that a command prints; None for nothing."""
    program = _program(words)
    name, options = program[0], program[1:]
    if name in ("uv", "poetry", "pipenv", "hatch", "bundle", "pdm", "rye") and options[:1] in (["run"], ["exec"]):
        return _kind(options[1:] or [""])
    special = _SPECIAL.get(name)
    if special:
        return special(options)
    if name in _SILENT:
        return None
    return next((kind for kind, names in _NAMES.items() if name in names), _by_pattern(name))


def _by_pattern(name: str) -> str:
    if _TEST_SCRIPT.fullmatch(name):
        return "test"
    return "shell" if _SCRIPT.fullmatch(name) else ""


_SILENT = _words(
    "cd pushd popd export set unset source . mkdir rmdir touch rm cp mv chmod chown ln sleep wait true false : kill "
    "alias done fi for esac } patch install trap ulimit umask"
)
_NAMES = {
    ECHO: _words("echo printf pwd date whoami hostname which type whereis basename dirname realpath wc"),
    "file": _words("nl bat tac less more xxd od hexdump strings awk gawk cut batcat zcat"),
    "tree": _words("tree"),
    "paths": _words("fd fdfind locate"),
    "test": _words("pytest unittest tox nox jest vitest mocha rspec phpunit ctest ava playwright cypress gotestsum"),
    "install": _words("pip pip3 uv poetry conda mamba apt apt-get brew gem bundle composer pdm"),
    "build": _words(
        "make cmake ninja gcc g++ cc c++ clang clang++ webpack vite rollup esbuild sphinx-build gradle gradlew mvn "
        "mvnw bazel msbuild xcodebuild meson"
    ),
    "lint": _words(
        "tsc eslint ruff mypy flake8 pylint pyright golangci-lint shellcheck rubocop stylelint biome pycodestyle "
        "basedpyright bandit"
    ),
    "log": _words("journalctl dmesg"),
}


def _has(options: Words, letters: str, *names: str) -> bool:
    """Whether one of the options is given, as a letter (alone or among others) or by its name."""
    short = re.compile(rf"-\w*[{letters}]\w*\Z") if letters else None
    return any((short and short.match(word)) or word.split("=")[0] in names for word in options)


def _ls(options: Words) -> str:
    return "rows" if _has(options, "lgno", "--format") else "names"


def _grep(options: Words) -> str:
    return "paths" if _has(options, "lL", "--files", "--files-with-matches", "--files-without-match") else "search"


def _find(options: Words) -> str:
    for flag in ("-exec", "-execdir"):
        if flag in options:
            return _kind(options[options.index(flag) + 1 :] or [""]) or "shell"
    return "shell" if {"-ls", "-printf"} & set(options) else "paths"


def _file(options: Words) -> str:
    named = [word for word in options if not word.startswith("-")]
    return "log" if named and all(re.search(r"\.log(?:\.\d+)?\Z|/var/log/", word) for word in named[-1:]) else "file"


def _sed(options: Words) -> str | None:
    return None if any(word.startswith(("-i", "--in-place")) for word in options) else "file"


def _git(options: Words) -> str | None:
    while options[:1] in (["-C"], ["-c"]):
        options = options[2:]
    verb = next((word for word in options if not word.startswith("-")), "")
    if verb in ("add", "apply", "config", "init", "mv"):
        return None
    if verb in ("show", "cat-file"):
        return "file" if any(":" in word for word in options[1:]) else "diff"
    kinds_of_verbs = {
        "diff": "diff", "log": "diff", "format-patch": "diff", "grep": "search", "ls-files": "paths",
        "ls-tree": "paths", "blame": "file", "annotate": "file",
    }  # fmt: skip
    return kinds_of_verbs.get(verb, "shell")


def _python(options: Words) -> str:
    if options[:1] == ["-m"] and len(options) > 1:
        return _kind(options[1:]) or "shell"
    script = next((word for word in options if not word.startswith("-")), "")
    if script.endswith("manage.py"):
        return "test" if "test" in options else "shell"
    return _by_pattern(script.rsplit("/", 1)[-1]) or "shell"


def _script(options: Words) -> str:
    """npm, cargo, go and others that do what their first word says, or the one after ``run``."""
    words = [word for word in options if not word.startswith("-")]
    verb = words[1] if len(words) > 1 and words[0] in _RUN else words[0] if words else ""
    return next((kind for kind, pattern in _VERBS.items() if pattern.match(verb)), "shell")


_RUN = _words("run run-script exec compose task x dlx")
_VERBS = {
    "test": re.compile(r"(?:t|nextest|jest|vitest|.*\btests?\b.*)\Z"),
    "lint": re.compile(r".*\b(?:lint|clippy|vet|eslint|type-?check|tsc|credo|dialyzer|fmt|format)\b"),
    "install": re.compile(r"(?:install|i|ci|add|update|upgrade|get|deps\.get|pull|push)\Z"),
    "build": re.compile(r"(?:.*\bbuild\b.*|compile|check|buildx|package|up)\Z"),
    "log": re.compile(r"logs\Z"),
}


_SPECIAL: Mapping[str, Callable[[Words], str | None]] = {
    "ls": _ls, "dir": _ls, "eza": _ls, "find": _find, "git": _git, "sed": _sed,
    "cat": _file, "head": _file, "tail": _file,
    **dict.fromkeys(("grep", "egrep", "fgrep", "rg", "ag", "ack"), _grep),
    **dict.fromkeys(("python", "python3", "python2", "py"), _python),
    "kubectl": lambda options: "log" if "logs" in options else "",
    **dict.fromkeys(
        ("npm", "yarn", "pnpm", "bun", "cargo", "go", "dotnet", "mix", "docker", "podman", "docker-compose", "rake",
         "swift", "just", "nix", "rails", "deno"),
        _script,
    ),
}  # fmt: skip
