"""The commands and texts in a script of Codex are found without running it."""

import time

import pytest

from headroom.transforms.commands import command_of, commands_of, kinds
from headroom.transforms.javascript import commands, texts

CASES = {
    'const r = await tools.exec_command({cmd: "cat prices.py"}); text(r.output);': ["cat prices.py"],
    'await tools.exec_command({"cmd":"git log --format=\\"%h\\"","workdir":"/x"})': ['git log --format="%h"'],
    "tools.exec_command({ 'cmd' : 'echo \\'a\\'', yield_time_ms: 1000 })": ["echo 'a'"],
    "tools.exec_command({cmd: `cat <<'EOF'\nhere\nEOF`})": ["cat <<'EOF'\nhere\nEOF"],
    "tools.exec_command({cmd: String.raw`grep '\\d+' a`})": ["grep '\\d+' a"],
    'await Promise.all([tools.exec_command({cmd: "ls"}), tools.exec_command({cmd: "pwd"})])': ["ls", "pwd"],
    '// tools.exec_command({cmd: "rm"})\n/* cmd: "rm" */ text(1)': [],
    'const cmd = make(); await tools.exec_command({cmd}); text("cmd: " + cmd)': [],
    'tools.exec_command({cmd: "a\\u0062\\x63\\u{64}\\n"})': ["abcd\n"],
    "": [],
}


@pytest.mark.parametrize("script", CASES)
def test_commands_of_a_script(script: str) -> None:
    assert commands(script) == CASES[script]


def test_what_a_script_runs_is_known_to_the_router() -> None:
    script = 'text(await tools.exec_command({cmd: "cd shop && git diff"}))'
    assert command_of({"input": script}) == "cd shop && git diff"
    assert kinds(command_of({"input": script})) == ["diff"]
    assert commands_of({"commands": ["ls", "cat x.py"]}) == ["ls", "cat x.py"]
    assert command_of({"command": ["/bin/zsh", "-lc", "ls"]}) == "ls"
    assert command_of({"command": ["powershell.exe", "-NoProfile", "-Command", "dir"]}) == "dir"
    assert command_of({"command": ["python3", "-c", "print(1)"]}) == "python3 -c print(1)"
    assert command_of({"input": "*** Begin Patch\n"}) == ""


def test_texts_are_those_whose_lines_stand_escaped() -> None:
    script = 'const patch = "*** Begin Patch\\n+a = \\"b\\"\\n";\nawait tools.apply_patch(`one\ntwo`); text("done");'
    assert texts(script) == ['*** Begin Patch\n+a = "b"\n']


@pytest.mark.parametrize("piece", ["/*", "//", "`", '"', "'\\", "cmd:", "cmd :" + " " * 50, "String.raw`", "\\"])
def test_strange_scripts_take_linear_time(piece: str) -> None:
    started = time.thread_time()
    commands(piece * (400_000 // len(piece)))
    assert time.thread_time() - started < 10
