"""Tables that hold what was used last."""

from collections import OrderedDict


def put[K, V](table: OrderedDict[K, V], key: K, value: V, limit: int) -> None:
    """Put a value in as the latest; of more than ``limit`` the oldest go."""
    table[key] = value
    table.move_to_end(key)
    while len(table) > limit:
        table.popitem(last=False)
