"""What a command prints is told from its words."""

import time

import pytest

from headroom.transforms.commands import MAX_COMMAND, command_of, kinds

CASES = {
    "ls -la": ["rows"],
    "cd shop && ls -R | head -50": ["names"],
    "cat shop/orders.py": ["file"],
    "tail -n 100 app.log": ["log"],
    "cat <<'EOF' > check.py\nls\nEOF\npython check.py": ["shell"],
    "cat > a.txt <<EOF\nls -la\nEOF": [],
    "grep -rn total . | head": ["search"],
    "rg -l total": ["paths"],
    'find . -name "*.py" | xargs grep total': ["search"],
    "find . -exec wc -l {} +": ["echo"],
    "python3 -m pytest -q 2>&1 | tail -30": ["test"],
    "FOO=1 timeout 60 npx jest cart": ["test"],
    "PYTHONPATH=. python3 tests/runtests.py admin": ["test"],
    "npm run lint": ["lint"],
    "npm view jest dependencies": ["shell"],
    "uv run mypy .": ["lint"],
    "cargo build": ["build"],
    "docker compose logs web": ["log"],
    "git -C shop diff --cached": ["diff"],
    "git add -A && git diff": ["diff"],
    "git show HEAD:shop/orders.py": ["file"],
    "sed -i s/a/b/ x.py": [],
    "sed -n 1,5p x.py": ["file"],
    "nl -ba x.py | sed -n 1,20p": ["file"],
    "ls | wc -l": ["echo"],
    "cat x.json | jq .items": [""],
    "python - <<'E'\nprint(open('x.py').read())\nE": ["shell", "file"],
    "for f in a b; do cat $f; done": ["file"],
    "python x.py > /dev/null; ls": ["names"],
    "echo 'ls; cat x'": ["echo"],
    "unheard-of --flag": [""],
    "": [],
}


@pytest.mark.parametrize("command", CASES)
def test_kinds_of_a_command(command: str) -> None:
    assert kinds(command) == CASES[command]


def test_the_command_is_found_in_each_clients_arguments() -> None:
    assert command_of({"command": "ls"}) == "ls"
    assert command_of({"cmd": "ls", "workdir": "/srv"}) == "ls"
    assert command_of({"command": ["bash", "-lc", "ls -la"]}) == "ls -la"
    assert command_of({"command": ["git", "diff"]}) == "git diff"
    assert command_of({"pattern": "x"}) == ""
    assert command_of({"command": 3}) == ""


@pytest.mark.parametrize("piece", ["'", '"', "<<a\n", "\\", "a=1 ", "$(", "| ", "-x ", "'\""])
def test_strange_commands_take_no_long_time(piece: str) -> None:
    start = time.thread_time()
    kinds(piece * MAX_COMMAND)
    assert time.thread_time() - start < 5
