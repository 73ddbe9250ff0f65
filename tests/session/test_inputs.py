"""What the model gave to its tools is known by its lines, in every shape."""

import json

from headroom.session.conversation import subject_of
from headroom.session.inputs import texts_of
from headroom.wire.shapes import read

PATCH = '*** Begin Patch\n*** Update File: a.py\n@@ def a():\n-    return 1\n+    return "2"\n     # end\n*** End Patch'


def given(**call: object) -> list[str]:
    """The texts of a call of Codex."""
    body = {"input": [{"type": "message", "role": "user", "content": "Go."}, {"call_id": "c1", **call}]}
    layout = read("openai-responses", json.dumps(body).encode(), lambda _: None)
    assert layout.blocks[-1].kind == "call"
    return texts_of(layout, layout.blocks[-1])


def test_the_lines_of_a_patch_are_known_without_their_marks() -> None:
    lines = ["*** Begin Patch", "*** Update File: a.py", "@@ def a():", "    return 1", '    return "2"', "    # end"]
    assert given(type="custom_tool_call", name="apply_patch", input=PATCH) == ["\n".join([*lines, "*** End Patch"])]


def test_lines_that_stand_escaped_in_a_script_are_left_out_where_they_read_otherwise() -> None:
    script = f"await tools.apply_patch({json.dumps(PATCH)});"
    said, patch = given(type="custom_tool_call", name="exec", input=script)
    assert said == script
    assert "    return 1\n\0\n    # end\n" in patch


def test_arguments_in_json_are_known_by_their_texts() -> None:
    arguments = json.dumps({"path": "a.py", "edits": [{"new": 'one\n"two"'}]})
    assert given(type="function_call", name="edit", arguments=arguments) == ["a.py", "one\n\0"]


def test_a_script_that_is_no_json_is_the_input() -> None:
    action = {"type": "exec", "command": ["bash", "-lc", "ls"]}
    assert given(type="local_shell_call", action=action) == ["exec", "bash", "-lc", "ls"]
    assert given(type="custom_tool_call", name="exec", input="42") == ["42"]


def test_a_reference_names_the_command_or_the_file() -> None:
    script = 'await Promise.all([tools.exec_command({cmd:"ls\\npwd"}), tools.exec_command({cmd:"cat a.py"})])'
    assert subject_of({"input": script}) == ("command", "ls; cat a.py")
    assert subject_of({"input": PATCH}) == ("path", "a.py")
    assert subject_of({"input": f"tools.apply_patch({json.dumps(PATCH)})"}) == ("path", "a.py")
    assert subject_of({"input": "text(1)"}) == ("", "")
    assert subject_of({"command": ["bash", "-lc", "ls -l"]}) == ("command", "ls -l")
    assert subject_of({"dir_path": "src"}) == ("path", "src")
