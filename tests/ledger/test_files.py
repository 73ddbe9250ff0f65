import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from headroom.ledger.files import write_whole
from headroom.stores.files import file_lock

HOLDER = """
import sys, time
from pathlib import Path
from headroom.stores.files import file_lock
with file_lock(Path(sys.argv[1]), 5):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_lock_is_held_by_one_at_a_time(tmp_path: Path) -> None:
    inside: list[int] = []
    seen: list[int] = []

    def enter() -> None:
        with file_lock(tmp_path / "lock", 5):
            inside.append(1)
            time.sleep(0.01)
            seen.append(len(inside))
            inside.pop()

    threads = [threading.Thread(target=enter) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [1] * 5


def test_a_lock_is_not_waited_for_longer_than_asked(tmp_path: Path) -> None:
    with (
        file_lock(tmp_path / "lock", 0),
        pytest.raises(TimeoutError, match=r"held by another process for 0\.02 s"),
        file_lock(tmp_path / "lock", 0.02),
    ):
        raise AssertionError("held twice")


def test_a_process_that_is_killed_lets_go_of_the_lock(tmp_path: Path) -> None:
    root = Path(__file__).parents[2]
    command = [sys.executable, "-c", HOLDER, str(tmp_path / "lock")]
    with subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None and holder.stdout.readline() == "held\n"
        with pytest.raises(TimeoutError), file_lock(tmp_path / "lock", 0.02):
            raise AssertionError("held twice")
        holder.send_signal(signal.SIGKILL)
        holder.wait()
        with file_lock(tmp_path / "lock", 1):
            pass


def test_a_file_is_replaced_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_whole(path, b"old")
    with path.open("rb") as reader:
        write_whole(path, b"new and longer")
        assert reader.read() == b"old"
    assert path.read_bytes() == b"new and longer"
    assert list(tmp_path.iterdir()) == [path]
