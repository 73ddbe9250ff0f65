"""The main content of a web page: headings, paragraphs, lists, tables, code and links as Markdown.

Leaves out what is no content (scripts, styles, navigation, footers, forms, hidden parts) and data URIs. Raw HTML that
an edit may quote is a file and never comes here.
"""

import re
from collections import Counter
from typing import TYPE_CHECKING

from headroom.transforms.base import Compressed, Context

if TYPE_CHECKING:
    from selectolax.lexbor import LexborNode

LEFT_OUT = "[data left out]"
"""Stands for the content of a data URI."""

NO_CONTENT = (
    "script, style, noscript, template, svg, iframe, canvas, nav, footer, aside, form, button, input, select, dialog, "
    "[hidden], [aria-hidden=true], [role=navigation], [role=banner], [role=contentinfo], [role=search]"
)
MAIN_SHARE = 0.3
"""Share of a page's text that an element must hold to be its main content."""

MIN_KEPT = 0.02
"""Share of the HTML below which the text that is left can't be the page: built by scripts, or broken."""

MAX_DEPTH = 1000
"""Elements within elements beyond which parsing would take time quadratic in their number."""

PAGE = re.compile(r"\s*(?:<!--.*?-->\s*)?<(?:!doctype\s+html|html|head|body)\b", re.I | re.S)
"""How a page begins."""

_TAG = re.compile(
    r"<(/?(?!(?:area|base|br|col|dd|dt|embed|hr|img|input|li|link|meta|option|p|param|source|t[bdhr]\w*|track|wbr)\b)\w+)",
    re.I,
)
_DATA_URI = re.compile(r"data:[\w.+-]+/[\w.+-]+(?:;[\w=-]+)*,[A-Za-z0-9+/=%_-]{64,}")
_LINK = re.compile(r"\]\(([^\s()]{16,})\)")
"""A link to a place that is long enough to be said once."""
_SPACE = re.compile(r"\s+")
_AROUND_LINE_END = re.compile(r" *\n *")
_BLANK_LINES = re.compile(r"\n{3,}")


def compress(text: str, context: Context) -> Compressed | None:
    """Write a page as Markdown. Only where something may be left out; None for what is no page."""
    if context.lossless or not PAGE.match(text) or _depth(text) > MAX_DEPTH:
        return None
    from selectolax.lexbor import LexborHTMLParser

    page = LexborHTMLParser(_DATA_URI.sub(LEFT_OUT, text))
    body = page.body
    if body is None:
        return None
    for node in body.css(NO_CONTENT):
        node.decompose()
    out = _markdown(_main(body)).strip()
    titles = page.css("title")
    name = _SPACE.sub(" ", titles[0].text()).strip() if titles else ""
    if name and name not in out[: len(name) + 200]:
        out = f"# {name}\n\n{out}"
    if len(out) < MIN_KEPT * len(text) or len(out) >= len(text):
        return None
    return Compressed(out, "html", lossless=False, left_out=text.count("\n") - out.count("\n"))


def _depth(text: str) -> int:
    """How many elements are open at once, at most; those that close themselves don't count."""
    depth = deepest = 0
    for tag in _TAG.findall(text):
        if tag[0] == "/":
            depth = max(0, depth - 1)
        else:
            depth += 1
            deepest = max(deepest, depth)
    return deepest


def _main(body: "LexborNode") -> "LexborNode":
    """The element that holds the content, the body itself when none stands out."""
    whole = len(body.text())
    for selector in ("main", "article", "[role=main]", "#content", "#main"):
        found = body.css(selector)
        if len(found) == 1 and len(found[0].text()) >= MAIN_SHARE * whole:
            return found[0]
    return body


_CODE = "\0"  # where preformatted text goes: HTML has no such character
_HEADINGS = frozenset(f"h{level}" for level in range(1, 7))
_PARAGRAPHS = [
    "address", "article", "blockquote", "body", "dd", "details", "div", "dl", "dt", "figcaption", "figure", "header",
    "hr", "main", "ol", "p", "section", "summary", "table", "ul",
]  # fmt: skip
_MARKS = dict.fromkeys(_PARAGRAPHS, ("\n\n", "\n\n")) | {
    "br": ("\n", ""),
    "code": ("`", "`"),
    "li": ("\n- ", ""),
    "td": (" ", " |"),
    "th": (" ", " |"),
    "tr": ("\n|", ""),
}


def _markdown(root: "LexborNode") -> str:
    """The text below a node. With a stack of its own: pages nest deeper than Python's."""
    out: list[str] = []
    code: list[str] = []
    todo: list[LexborNode | str] = [root]
    while todo:
        node = todo.pop()
        if isinstance(node, str):
            out.append(node)
        elif node.tag == "-text":
            out.append(_SPACE.sub(" ", node.text(deep=False).replace(_CODE, "")))
        elif node.tag == "pre":
            out.append(f"\n\n{_CODE}\n\n")
            code.append(node.text().strip("\n"))
        else:
            before, after = _marks(node)
            out.append(before)
            todo.append(after)
            todo += reversed(list(node.iter(include_text=True)))
    text, targets = _referred(_BLANK_LINES.sub("\n\n", _AROUND_LINE_END.sub("\n", "".join(out))))
    parts = (text.rstrip() + targets).split(_CODE)
    fenced = [f"```\n{block}\n```" for block in code]
    return "".join(part + block for part, block in zip(parts, [*fenced, ""], strict=True))


def _referred(text: str) -> tuple[str, str]:
    """Links to the same place name it by a number; the list of these places, as Markdown has it at the end."""
    often = [target for target, times in Counter(_LINK.findall(text)).items() if times > 1]
    numbers = {target: number for number, target in enumerate(often, 1)}
    text = _LINK.sub(lambda link: f"][{numbers[link[1]]}]" if link[1] in numbers else link[0], text)
    listed = "".join(f"\n[{number}]: {target}" for target, number in numbers.items())
    return text, f"\n{listed}" if listed else ""


def _marks(node: "LexborNode") -> tuple[str, str]:
    """What Markdown writes before and after the content of a node."""
    tag = node.tag or ""
    if tag in _HEADINGS:
        return f"\n\n{'#' * int(tag[1])} ", "\n\n"
    if tag == "a":
        target = (node.attributes.get("href") or "").strip()
        shown = target and not target.startswith(("#", "javascript:"))
        return ("[", f"]({target})") if shown else ("", "")
    if tag == "img":
        return (node.attributes.get("alt") or "").strip(), ""
    return _MARKS.get(tag, ("", ""))
