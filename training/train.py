"""Train the embedded judge: which lines of a tool output will be needed later.

    python -m training.train SESSIONS.jsonl.gz... [--final] [--folds] [--out FOLDER]

``--folds`` leaves out one repository after the other, trains on the others and scores it; what the report says comes
from these scores. ``--final`` trains on everything and writes the model that ships.
"""

import argparse
import json
import pickle
import time
from pathlib import Path

import lightgbm as lgb  # type: ignore[import-not-found,unused-ignore]
import numpy as np

from headroom.kompress.features import NAMES
from training.export import export
from training.hindsight import Hindsight, Output, all_of

SEED, ROUNDS = 7, 160
SETTINGS = {
    "objective": "binary", "num_leaves": 31, "learning_rate": 0.08, "min_data_in_leaf": 60, "feature_fraction": 0.6,
    "bagging_fraction": 0.8, "bagging_freq": 1, "lambda_l2": 5.0, "max_bin": 127, "num_threads": 2, "verbose": -1,
    "seed": SEED, "deterministic": True, "force_row_wise": True,
}  # fmt: skip
EASY = 5
"""Of the lines without a new name, which are almost never needed, one in so many is learned from, with that weight."""
NOVEL = NAMES.index("novel")


def samples(sessions: list[Hindsight]) -> list[tuple[Hindsight, Output, np.ndarray]]:
    return [(s, o, s.labels(o)) for s in sessions for o in s.outputs if o.rows is not None]


def train(sessions: list[Hindsight]) -> lgb.Booster:
    """Boosted trees on all lines of some sessions."""
    some = samples(sessions)
    rows = np.concatenate([o.rows for _, o, _ in some])
    labels = np.concatenate([y for _, _, y in some])
    easy = (rows[:, NOVEL] == 0) & (labels == 0)
    taken = ~easy | (np.random.default_rng(SEED).random(len(labels)) < 1 / EASY)
    data = lgb.Dataset(rows[taken], labels[taken], weight=np.where(easy, EASY, 1)[taken], feature_name=list(NAMES))
    return lgb.train(SETTINGS, data, ROUNDS)


def folds(sessions: list[Hindsight]) -> dict[tuple[str, int], np.ndarray]:
    """A probability for each line, from a model that saw nothing of the repository that the session worked on."""
    out = {}
    for group in sorted({s.group for s in sessions}):
        held = [s for s in sessions if s.group == group]
        if not samples(held):
            continue
        started = time.time()
        model = train([s for s in sessions if s.group != group])
        for s, o, _ in samples(held):
            out[s.id, o.number] = model.predict(o.rows, num_threads=1)
        print(f"without {group}: {len(held)} sessions, {time.time() - started:.0f} s", flush=True)
    return out


def by_session(sessions: list[Hindsight], group: str, parts: int = 4) -> dict[tuple[str, int], np.ndarray]:
    """The same for one repository, from models that saw its other sessions."""
    out = {}
    mine = [s for s in sessions if s.group == group]
    families = sorted({s.id.split("#")[0] for s in mine})
    for part in range(parts):
        held = [s for s in mine if families.index(s.id.split("#")[0]) % parts == part]
        if not samples(held):
            continue
        model = train([s for s in sessions if s not in held])
        for s, o, _ in samples(held):
            out[s.id, o.number] = model.predict(o.rows, num_threads=1)
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sessions", nargs="+", type=Path)
    parser.add_argument("--out", type=Path, default=Path("headroom/kompress/embedded"))
    parser.add_argument("--work", type=Path, required=True, help="a folder outside the repository for what is derived")
    parser.add_argument("--folds", action="store_true")
    parser.add_argument("--final", action="store_true")
    args = parser.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)
    sessions = all_of(args.sessions)
    if args.folds:
        scores = folds(sessions)
        print("folds done", flush=True)
        few = {g for g in {s.group for s in sessions} if sum(s.group == g for s in sessions) < 12}
        within = {k: v for g in sorted(few) for k, v in by_session(sessions, g).items()}
        with (args.work / "scores.pkl").open("wb") as file:
            pickle.dump((scores, within), file)
    if args.final:
        model = train(sessions)
        args.out.mkdir(parents=True, exist_ok=True)
        export(model.dump_model(), len(NAMES), args.out / "needed.onnx")
        gain = sorted(zip(model.feature_importance("gain").tolist(), NAMES, strict=True), reverse=True)
        (args.work / "importance.json").write_text(json.dumps([(n, round(g)) for g, n in gain], indent=1))
        print("model", (args.out / "needed.onnx").stat().st_size, "bytes")


if __name__ == "__main__":
    main()
