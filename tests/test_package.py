import ast
import subprocess
import sys
from importlib import import_module
from importlib.metadata import version
from pathlib import Path

import pytest

import headroom


def test_every_public_name_is_found_where_the_package_says() -> None:
    for name, module in headroom._HOME.items():
        assert getattr(headroom, name) is getattr(import_module(module), name)


def test_type_checkers_see_the_same_public_names_as_programs() -> None:
    tree = ast.parse(Path(headroom.__file__).read_text(encoding="utf-8"))
    typed = next(node for node in tree.body if isinstance(node, ast.If))
    imported = {
        alias.asname or alias.name: node.module
        for node in typed.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert imported == headroom._HOME
    assert {*headroom.__all__} == {*headroom._HOME, "__version__"}
    assert set(headroom.__all__) <= set(dir(headroom))


def test_an_unknown_name_is_an_attribute_error_that_names_it() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Nope'"):
        _ = headroom.Nope  # type: ignore[attr-defined]


def test_the_version_is_that_of_the_installed_distribution() -> None:
    assert headroom.__version__ == version("headroom-ai")


def test_importing_the_package_loads_none_of_its_parts() -> None:
    code = "import sys, headroom; print([m for m in sys.modules if m.startswith('headroom.')])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def test_no_annotation_joins_a_lock_with_another_type_outside_of_quotes() -> None:
    """Up to Python 3.12 ``threading.Lock`` is a function: ``Lock | None`` ends the import."""
    root = Path(headroom.__file__).parents[1]
    found = [
        f"{path.relative_to(root)}:{node.lineno}"
        for folder in ("headroom", "addon")
        for path in (root / folder).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.BinOp)
        and isinstance(node.op, ast.BitOr)
        and {"threading.Lock", "threading.RLock", "Lock", "RLock"} & {ast.unparse(node.left), ast.unparse(node.right)}
    ]
    assert found == []
