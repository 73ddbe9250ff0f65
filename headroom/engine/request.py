"""What comes into the pipeline and what comes out of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from headroom.cache import Plan, leave
from headroom.context.windows import Held
from headroom.session.identity import Identity
from headroom.session.prefix import PrefixHistory, Sent
from headroom.session.standing import BlockReport
from headroom.transforms.config import SMART_CRUSHER, SmartCrusherConfig
from headroom.wire.spans import Patch

Mode = Literal["optimize", "audit", "off"]


@dataclass(frozen=True, slots=True)
class RawRequest:
    """A provider request as it arrived: ``headers`` with lower-case names, ``body`` decoded (no gzip).

    ``model`` is needed where the path names it and not the body. ``counts`` asks how many tokens a request has, and
    is none itself. ``drop_billing_line``: for providers that count Claude Code's statement to its maker as content.
    ``tool_profiles`` says for tools, by name or pattern, how far their output may be rewritten. ``all_new``: no
    provider has seen any of it in this form before, so every block is decided as if it had just come. The last
    ``keep_turns`` turns and the first ``cached_tokens`` tokens are not decided: they stay as they are.
    """

    provider: str
    shape: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    model: str = ""
    host: str = ""
    counts: bool = False
    drop_billing_line: bool = False
    tool_profiles: Mapping[str, str] = field(default_factory=dict)
    smart_crusher: SmartCrusherConfig = SMART_CRUSHER
    all_new: bool = False
    keep_turns: int = 0
    cached_tokens: int = 0
    context_limit: int = 0
    """Tokens that fit into the model, 0: as is known of it; ``output_buffer`` of them stay free, None: as is set."""
    output_buffer: int | None = None
    whole: bool = False
    """Nothing may be dropped of it: the provider has its beginning already, and is sent the rest alone."""


@dataclass(frozen=True, slots=True)
class Rewrite:
    """``body`` is what goes out: the same object that came in when nothing was rewritten, and ``reason`` says why.

    ``tokens_before`` and ``tokens_after`` estimate the whole request, ``saved`` is their difference by strategy.
    """

    body: bytes
    identity: Identity
    model: str
    blocks: tuple[BlockReport, ...] = ()
    tokens_before: int = 0
    tokens_after: int = 0
    saved: Mapping[str, int] = field(default_factory=dict)
    reason: str = ""
    plan: Plan = field(default_factory=Plan)
    """What was inserted so that the provider caches the request's beginning."""
    patches: tuple[Patch, ...] = ()
    """What makes ``body`` of the request's."""
    history: PrefixHistory | None = None
    sent: Sent | None = None
    """What the history notes of this request."""
    cold: bool = False
    """The provider has nothing of it cached, though it goes on: what was sent before may be decided too."""
    gone: Held | None = None
    """The messages that were dropped; also where none were, but could be."""
    system: str = ""
    """The system prompt's first 500 characters: what a beta session is known by."""

    def leaves(self) -> None:
        """Note what the request in this form leaves in the provider's cache."""
        if self.history is not None and self.sent is not None:
            leave(self.plan, self.history, self.sent)

    def taken_back(self, reason: str) -> "Rewrite":
        """What became of this one when the provider was sent the original in its place: nothing was saved."""
        original = replace(
            self,
            body=b"",
            patches=(),
            blocks=(),
            saved={},
            gone=None,
            tokens_after=self.tokens_before,
            plan=self.plan.as_it_came(),
            reason=reason,
        )
        original.leaves()
        return original
