"""What the engine asks of this package: the way back of a request, the originals, the answers, our tool."""

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from headroom.ccr import tool
from headroom.ccr.deferred import Given, answer
from headroom.ccr.markers import Way, retrieve
from headroom.ccr.originals import Original, Originals
from headroom.ccr.ways import OURS, CcrSettings, Offered, Tools, client_tool, way_back
from headroom.errors import StorageError
from headroom.latest import put
from headroom.session.memory import Decision, Memory
from headroom.stores.entries import State
from headroom.wire.layout import Block, Layout
from headroom.wire.spans import Patch
from headroom.wire.usage import Stored

log = logging.getLogger(__name__)
SESSIONS = 1000
CALLS = 2000


@dataclass(frozen=True, slots=True)
class ToolPlan:
    """What puts our tool into a request (None: nothing does), whether the model has it, what is to be remembered."""

    patch: Patch | None = None
    there: bool = False
    decided: tuple[Decision, ...] = ()


class Promises:
    """Keeps originals and gives them back; any thread may use it. Without ``originals`` nothing is ever left out."""

    def __init__(self, originals: Originals | None, settings: CcrSettings) -> None:
        self.originals = originals
        self.settings = settings
        self._tools = Tools()
        self._failing = False
        self._lock = threading.Lock()
        self._offered: OrderedDict[str, Offered] = OrderedDict()
        """What sessions offered last, for requests that go on from one at the provider and list no tools."""
        self._calls: OrderedDict[str, tuple[str, Mapping[str, object]]] = OrderedDict()
        """Calls of our tool in answers that stay at the provider: what goes on from one repeats nothing of it."""
        self._sessions: OrderedDict[str, str] = OrderedDict()
        """Whose such an answer is."""

    @property
    def leaves_out(self) -> bool:
        """Whether anything may be left out at all: where it is wanted, and originals are kept."""
        return self.originals is not None and self.settings.level != "safe"

    # --- the way back ------------------------------------------------------------------------------------------

    def offered(self, layout: Layout, session: str) -> Offered:
        """What a request offers the model to call."""
        found = self._tools.offered(layout)
        chained = "previous_response_id" in layout.fields and layout.string("previous_response_id")
        with self._lock:
            if found.names:
                put(self._offered, session, found, SESSIONS)
            elif chained and session in self._offered:
                before = self._offered[session]
                return Offered(before.names, before.free and found.reason == "no tools", found.reason)
        return found

    def way(self, offered: Offered, injected: bool) -> Way | None:
        """How the model can have back what is left out now; None for not at all."""
        if not self.leaves_out:
            return None
        return way_back(offered, injected, self.settings.retrieval)

    def tool(
        self, layout: Layout, offered: Offered, session: str, memory: Memory, worth: Callable[[], bool] | None
    ) -> ToolPlan:
        """What puts our tool into this request, whether the model has it, and what is to be remembered of that.

        A session that began with it has it in every later request, whatever the settings are by now. ``worth`` is
        asked where a session begins; None for a request that settles nothing.
        """
        if not offered.names:
            return ToolPlan()
        keys = tool.keys(layout, session, offered.names)
        without, by_name, by_start = keys
        known = memory.find(keys)
        found = next((known[key][0].replacement for key in keys if key in known), None)
        new: list[Decision] = []
        if found is None:
            if not self.leaves_out or worth is None:
                return ToolPlan()
            wanted = self._wanted(layout, offered) and worth() and (tool.begins(layout) or _has_markers(layout, memory))
            found = tool.definition(layout.shape) if wanted else ""
            new = [Decision(key, found, 0, 0) for key in ((by_name, by_start) if found else (without,))]
        elif found and by_name not in known:
            new = [Decision(by_name, found, 0, 0)]
        return ToolPlan(tool.insertion(layout, found) if found else None, bool(found), tuple(new))

    def asked(self, layout: Layout, session: str) -> list[bytes]:
        """What ``tool`` will ask the memory for."""
        names = self.offered(layout, session).names
        return [*tool.keys(layout, session, names)] if names else []

    def _wanted(self, layout: Layout, offered: Offered) -> bool:
        settings = self.settings
        return (
            self.leaves_out
            and settings.responses
            and settings.retrieval in ("auto", "tool")
            and offered.free
            and not client_tool(offered.names)
            and not offered.announced
        )

    # --- originals ---------------------------------------------------------------------------------------------

    def keep(self, originals: Sequence[Original]) -> bool:
        """Store originals; where that fails nothing may be left out of them."""
        if self.originals is None:
            return False
        try:
            self.originals.keep(originals)
        except StorageError as error:
            if not self._failing:
                log.warning("originals can't be kept, nothing more is left out: %s", error.message)
            self._failing = True
            return False
        self._failing = False
        return True

    def touch(self, session: str) -> None:
        """Nothing that a session was promised expires while it lives."""
        if self.originals is None:
            return
        try:
            self.originals.touch(session)
        except StorageError as error:
            log.warning("what a session was promised could not be kept longer: %s", error.message)

    # --- answers -----------------------------------------------------------------------------------------------

    def answered(self, answer: Stored, session: str) -> None:
        """Note an answer that a request of this session may go on from."""
        with self._lock:
            put(self._sessions, answer.id, session, CALLS)
            for call, name, arguments in answer.calls:
                if name in OURS:
                    put(self._calls, call, (name, arguments), CALLS)

    def session_of(self, answer: str | None) -> str | None:
        """The session of an answer that stays at the provider, None where that is not known."""
        with self._lock:
            return self._sessions.get(answer) if answer else None

    def call(self, layout: Layout, block: Block, offered: Offered) -> Mapping[str, object] | None:
        """The arguments of a call of our tool that the client can't answer; None for any other call."""
        if not self.settings.responses or self.originals is None:
            return None
        name = layout.tool(block)
        if block.call in layout.calls and layout.calls[block.call].namespace:
            return None  # a server's of the client, which has answered
        with self._lock:
            noted = self._calls.get(block.call)
        if not name and noted:
            name = noted[0]
        if name not in OURS or name in offered.names:
            return None
        return layout.arguments(block) if block.call in layout.calls else noted[1] if noted else {}

    def answer(self, arguments: Mapping[str, object], here: Callable[[str], str | None]) -> Given:
        """Answer a call; ``here`` looks into the request itself, where the client still has what it once sent."""

        def find(hash: str) -> str | None:
            text = here(hash)
            if text is not None or self.originals is None:
                return text
            try:
                original = self.originals.get(hash)
            except StorageError as error:
                log.warning("an original can't be read: %s", error.message)
                return None
            return original.text if original else None

        def state(hash: str) -> State | None:
            try:
                return self.originals.state(hash) if self.originals is not None else "unknown"
            except StorageError:
                return None

        return answer(arguments, find, state)


def _has_markers(layout: Layout, memory: Memory) -> bool:
    """Whether markers that name our tool stand in a request: then it was in those before, however this one begins."""
    known = memory.find([block.key(layout.body) for block in layout.blocks if block.kind == "result"])
    decisions = (decision for some in known.values() for decision in some if decision.hash)
    return any(retrieve(Way("tool"), decision.hash) in decision.replacement for decision in decisions)
