"""A lock between processes."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def file_lock(path: Path, seconds: float) -> Iterator[None]:
    """Hold the lock file at ``path``, made if absent; a process that dies lets go of it.

    Raises OSError when it can't be made, TimeoutError (an OSError) when another holds it for ``seconds``.
    """
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        end = time.monotonic() + seconds
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= end:
                    raise TimeoutError(f"{path} is held by another process for {seconds:g} s") from None
                time.sleep(0.005)
        yield
    finally:
        os.close(handle)
