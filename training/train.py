"""Train the embedded judge: which lines of a tool output will be needed later, and which have a name that will be.

    python -m training.train SESSIONS.jsonl.gz... [--out FOLDER]
    python -m training.train SESSIONS.jsonl.gz... --folds FOLDER

It learns from the sessions of a shell agent and writes the model that ships. ``--folds`` leaves out one repository
after the other, trains on the others and scores what was left out: those are the figures of report.md.
"""

import argparse
from pathlib import Path

import lightgbm as lgb  # type: ignore[import-not-found,unused-ignore]
import numpy as np

from headroom.kompress.features import NAMES
from training.export import export
from training.hindsight import Hindsight, all_of
from training.judging import Judging

SEED, ROUNDS = 7, 160
SETTINGS = {
    "objective": "binary", "num_leaves": 31, "learning_rate": 0.08, "min_data_in_leaf": 60, "feature_fraction": 0.6,
    "bagging_fraction": 0.8, "bagging_freq": 1, "lambda_l2": 5.0, "max_bin": 127, "num_threads": 2, "verbose": -1,
    "seed": SEED, "deterministic": True, "force_row_wise": True,
}  # fmt: skip


def train(sessions: list[Hindsight]) -> tuple[lgb.Booster, lgb.Booster]:
    """Boosted trees on all lines of some sessions: which are needed themselves, and which for a name."""
    outputs = [(s, o) for s in sessions for o in s.outputs if o.rows is not None]
    rows = np.concatenate([o.rows for _, o in outputs])
    lines = np.concatenate([s.line_labels(o) for s, o in outputs])
    names = np.concatenate([s.labels(o) for s, o in outputs])

    def fit(labels: np.ndarray) -> lgb.Booster:
        return lgb.train(SETTINGS, lgb.Dataset(rows, labels, feature_name=list(NAMES)), ROUNDS)

    return fit(lines), fit(names)


def write(models: tuple[lgb.Booster, lgb.Booster], path: Path) -> None:
    export([model.dump_model() for model in models], len(NAMES), path)
    print(path.name, path.stat().st_size, "bytes", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sessions", nargs="+", type=Path)
    parser.add_argument("--out", type=Path, default=Path("headroom/kompress/embedded"))
    parser.add_argument("--kind", default="swe-bench", help="the kind of sessions that are learned from")
    parser.add_argument("--folds", type=Path, help="a folder outside the repository for the models of --folds")
    args = parser.parse_args()
    sessions = all_of(args.sessions)
    taught = [s for s in sessions if s.kind == args.kind]
    if args.folds:
        args.folds.mkdir(parents=True, exist_ok=True)
        judging = Judging()
        for group in sorted({s.group for s in sessions}):
            models = train([s for s in taught if s.group != group])
            write(models, args.folds / f"{group.split('/')[0]}.onnx")
            judging.add([s for s in sessions if s.group == group], models)
        print(judging.table())
        return
    args.out.mkdir(parents=True, exist_ok=True)
    write(train(taught), args.out / "needed.onnx")


if __name__ == "__main__":
    main()
