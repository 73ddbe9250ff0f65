"""How well lines are judged: what share of those that were needed is kept, against simpler ways to choose."""

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from headroom.kompress.features import NAMES
from training.hindsight import Hindsight, Output

KEPT = (30, 50, 70)
COLUMN = {name: i for i, name in enumerate(NAMES)}
SEED = 1


def column(output: Output, name: str) -> np.ndarray:
    assert output.rows is not None
    return output.rows[:, COLUMN[name]]


BASELINES: dict[str, Callable[[Output], np.ndarray]] = {
    "random": lambda o: np.random.default_rng((SEED, o.number)).random(len(o.lines)),
    "first and last lines": lambda o: -np.minimum(column(o, "from_start"), column(o, "from_end")),
    "words of the task, the call and what was said with it": lambda o: np.sum(
        [column(o, name) for name in ("part_task", "part_call", "part_said", "in_call", "in_said")], axis=0
    ),
    "rarest new name first": lambda o: -column(o, "rarest_novel"),
}


class Judging:
    """Collects, by kind of session and way to choose, how much of what was needed is kept."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, str, str], np.ndarray] = defaultdict(lambda: np.zeros(len(KEPT)))
        self._needed: dict[tuple[str, str], int] = defaultdict(int)
        self._scored: dict[tuple[str, str], list[tuple[np.ndarray, np.ndarray]]] = defaultdict(list)

    def add(self, sessions: Iterable[Hindsight], models: tuple[Any, Any]) -> None:
        for session in sessions:
            for output in session.outputs:
                if output.rows is None:
                    continue
                labels = (session.line_labels(output), session.labels(output))
                scores = [model.predict(output.rows, num_threads=1) for model in models]
                for what, needed, score in zip(("lines", "names"), labels, scores, strict=True):
                    key = (session.kind, what)
                    self._needed[key] += int(needed.sum())
                    self._scored[key].append((score, needed))
                    self._kept[(*key, "model")] += _kept(score, output.tokens, needed)
                    for way, rate in BASELINES.items():
                        self._kept[(*key, way)] += _kept(rate(output), output.tokens, needed)

    def table(self) -> str:
        """As Markdown: shares of needed lines that are kept with 30, 50 and 70 % of each output's tokens; how well
        the model tells needed lines from others (area under the curve) and how many it expects against how many are."""
        out = []
        for (kind, what), needed in self._needed.items():
            scores = np.concatenate([score for score, _ in self._scored[kind, what]])
            truth = np.concatenate([labels for _, labels in self._scored[kind, what]])
            ranks = np.argsort(np.argsort(scores))
            area = (ranks[truth == 1].sum() - needed * (needed - 1) / 2) / max(1, needed * (len(truth) - needed))
            out.append(
                f"\n{kind}, {what}: {needed} of {len(truth)} needed; {scores.sum():.0f} expected, area {area:.3f}\n"
            )
            out.append("| | " + " | ".join(f"{share} %" for share in KEPT) + " |\n|---|" + "---|" * len(KEPT))
            out += [
                f"| {way} | " + " | ".join(f"{x:.3f}" for x in self._kept[kind, what, way] / max(1, needed)) + " |"
                for way in (*BASELINES, "model")
            ]
        return "\n".join(out)


def _kept(rates: np.ndarray, tokens: np.ndarray, needed: np.ndarray) -> np.ndarray:
    """How many needed lines are among the best-rated ones that have a share of the tokens."""
    order = np.argsort(-rates, kind="stable")
    size, found = np.cumsum(tokens[order]), np.cumsum(needed[order])
    places = [np.searchsorted(size, size[-1] * share / 100, side="right") for share in KEPT]
    return np.array([found[place - 1] if place else 0 for place in places], float)
