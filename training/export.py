"""Write boosted trees as ONNX in whole numbers: any machine, any order of adding, gives the same sums."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import onnx
from onnx import TensorProto, helper

from headroom.kompress.features import NAMES
from headroom.kompress.judge import LOWEST, STEP, STEPS, UNIT

LEAF_UNIT = 1 << 12
"""A leaf's value times this, rounded: sums of a hundred stay below 2^24, where single floats are exact."""


def export(dumps: Sequence[dict[str, Any]], columns: int, path: Path) -> None:
    """One model with a score for each of ``dumps``, LightGBM's own descriptions of models over whole-number features
    (``Booster.dump_model()``)."""
    columns_of_nodes = ("treeids", "nodeids", "featureids", "values", "modes", "truenodeids", "falsenodeids")
    names = [f"nodes_{name}" for name in (*columns_of_nodes, "missing_value_tracks_true")]
    names += [f"target_{name}" for name in ("treeids", "nodeids", "ids", "weights")]
    a: dict[str, Any] = {name: [] for name in names}
    trees = [(target, tree) for target, dump in enumerate(dumps) for tree in dump["tree_info"]]
    for number, (target, tree) in enumerate(trees):
        _add(tree["tree_structure"], number, target, [0], a)
    node = helper.make_node(
        "TreeEnsembleRegressor", ["rows"], ["scores"], domain="ai.onnx.ml", n_targets=len(dumps),
        aggregate_function="SUM", post_transform="NONE", **a,
    )  # fmt: skip
    graph = helper.make_graph(
        [node],
        "needed",
        [helper.make_tensor_value_info("rows", TensorProto.FLOAT, ["lines", columns])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["lines", len(dumps)])],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8, producer_name="headroom training")
    helper.set_model_props(model, {"columns": " ".join(NAMES), "hazards": " ".join(map(str, hazards()))})
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString(deterministic=True))


def hazards() -> list[int]:
    """-ln(1 - p) in units, for p from each step of the scores' log odds; p is 0.95 at most."""
    odds = [(LOWEST + STEP * (i + 0.5)) / LEAF_UNIT for i in range(STEPS)]
    return [round(-math.log(1 - min(0.95, 1 / (1 + math.exp(-x)))) * UNIT) for x in odds]


def _add(node: dict[str, Any], tree: int, target: int, next_id: list[int], a: dict[str, list[Any]]) -> int:
    """Add a node and what hangs below it; return its number."""
    me = next_id[0]
    next_id[0] += 1
    row = len(a["nodes_treeids"])
    leaf = "split_feature" not in node
    a["nodes_treeids"].append(tree)
    a["nodes_nodeids"].append(me)
    a["nodes_featureids"].append(0 if leaf else node["split_feature"])
    a["nodes_values"].append(0.0 if leaf else float(int(node["threshold"] // 1)))
    a["nodes_modes"].append("LEAF" if leaf else "BRANCH_LEQ")
    a["nodes_missing_value_tracks_true"].append(0)
    a["nodes_truenodeids"].append(0)
    a["nodes_falsenodeids"].append(0)
    if leaf:
        a["target_treeids"].append(tree)
        a["target_nodeids"].append(me)
        a["target_ids"].append(target)
        a["target_weights"].append(float(round(node["leaf_value"] * LEAF_UNIT)))
    else:
        a["nodes_truenodeids"][row] = _add(node["left_child"], tree, target, next_id, a)
        a["nodes_falsenodeids"][row] = _add(node["right_child"], tree, target, next_id, a)
    return me
