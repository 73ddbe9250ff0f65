"""`headroom plugins`: what other packages add here."""

from dataclasses import dataclass

from headroom import paths
from headroom.cli.finding import Finding
from headroom.cli.output import new_table, print_json, print_table
from headroom.plugins import STORES, TRANSFORMS, VARIABLE, Plugin, plugins


@dataclass(frozen=True, slots=True)
class State:
    """A plugin, and why it can't be used, "" where it can."""

    plugin: Plugin
    problem: str

    @property
    def said(self) -> str:
        """In a word or a sentence."""
        return self.problem or ("used" if self.plugin.wanted else f"left out by {VARIABLE}")


def states() -> list[State]:
    """All plugins that are installed, each loaded to see whether it can be."""
    found = []
    for plugin in (*plugins(TRANSFORMS), *plugins(STORES)):
        problem = ""
        if plugin.wanted:
            try:
                plugin.load()
            except Exception as error:  # the import of a stranger's package
                problem = f"{type(error).__name__}: {error}"
        found.append(State(plugin, problem))
    return found


def show_plugins(as_json: bool) -> None:
    """Print them."""
    found = states()
    if as_json:
        rows = [
            {
                "name": one.plugin.name,
                "group": one.plugin.group,
                "package": one.plugin.package,
                "version": one.plugin.version,
                "used": one.plugin.wanted and not one.problem,
                "problem": one.problem,
                "config": str(paths.plugin_config_dir(one.plugin.name)),
            }
            for one in found
        ]
        print_json(rows)
    elif not found:
        print("no plugin is installed (docs/plugins.md says how to write one)")
    else:
        table = new_table("plugin", "adds", "of", "reads", "state")
        for one in found:
            kind = "a transform" if one.plugin.group == TRANSFORMS else "a store"
            of = f"{one.plugin.package} {one.plugin.version}"
            table.add_row(one.plugin.name, kind, of, str(paths.plugin_config_dir(one.plugin.name)), one.said)
        print_table(table)


def check() -> list[Finding]:
    """For `headroom doctor`: whether each can be loaded."""
    remedy = f"bring its package up to date, or leave it out with {VARIABLE}=off (or the names of those to use)"
    return [Finding(f"plugin {one.plugin.name}", one.said, remedy if one.problem else "") for one in states()]
