"""Source excerpts in what compilers and linters print: lines that hold nothing but the bar beside the code go.

     --> src/meter.rs:26:27                   --> src/meter.rs:26:27
      |                                    26 |     let wh = parts.next().expect("two");
    26 |     let wh = parts.next().expect("two");    |                           ^^^^^^
      |                           ^^^^^^     = note: a reading has two parts
      |
      = note: a reading has two parts

The form of rustc and ruff.
"""

import re

from headroom.transforms.base import Compressed, Context

_BESIDE_CODE = re.compile(r"^ *\d+ \| ", re.M)
_BAR_ALONE = re.compile(r"^ +\|\n(?= *(?:\d+ )?\||  *= |\n|help: |note: )", re.M)


def compress(text: str, context: Context) -> Compressed | None:
    """Leave out bars that stand alone; None where there is no code with line numbers beside one."""
    if not _BESIDE_CODE.search(text):
        return None
    out = _BAR_ALONE.sub("", text)
    return Compressed(out, "excerpts") if len(out) < len(text) else None
