"""Numbers before the lines of a file: kept where a reader starts, and on every tenth line.

For file reads of clients whose edits address text and not numbers (Claude Code's Read). The text of each line
stays verbatim; the numbers between can be counted.
"""

from headroom.transforms.lines import Line, looks_numbered

STEP = 10


def countable(lines: list[Line]) -> bool:
    """Whether each line has a number, one more than the line before, so that those left out can be counted.

    What a client says after the file, in tags of its own behind an empty line, has none.
    """
    first = lines[0].number
    end = next((i for i, line in enumerate(lines) if line.number < 0), len(lines))
    said = lines[end:]
    if said and not (len(said) > 1 and not said[0].text and said[1].text.startswith("<")):
        return False
    return all(line.number == first + i for i, line in enumerate(lines[:end])) and first >= 0


def thin(lines: list[Line]) -> list[Line]:
    """A run of countable lines with fewer numbers: on the first, on every tenth, on the file's last before something
    else is said, and wherever the text itself begins as a numbered line does, so that it can't be taken for one."""
    last = len(lines) - 1
    return [
        line
        if i == 0
        or line.inside
        or line.number % STEP == 0
        or looks_numbered(line.text)
        or (i < last and lines[i + 1].number < 0)
        else Line(line.text)
        for i, line in enumerate(lines)
    ]
