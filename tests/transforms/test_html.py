"""A page is written as Markdown where something may be left out."""

from headroom.transforms.base import Context
from headroom.transforms.html import MAX_DEPTH, compress
from tests.support.short import short

NORMAL = Context(lossless=False)
PAGE = """<!DOCTYPE html>
<html><head><title>Prices - Shop</title><style>p { color: red }</style><script>track("x")</script></head><body>
<nav><ul><li><a href="/">Home</a></li></ul></nav>
<main><h1>Prices</h1>
<p>Call <code>total(amount)</code> to add the <a href="/tax">tax</a>.<br>It returns a <b>Decimal</b>.</p>
<pre><code>def total(amount):


    return amount
</code></pre>
<table><tr><th>Country</th><th>Rate</th></tr>
<tr><td>DE</td><td>0.19</td></tr></table>
<ul><li>one</li><li>two</li></ul>
<a href="#top">Up</a><img alt="a chart" src="data:image/png;base64,%s"></main>
<footer>Imprint</footer></body></html>
""" % ("iVBORw0KGgo" * 20)


def test_content_stays_and_the_frame_goes() -> None:
    found = short(compress, PAGE, NORMAL)
    assert not found.lossless
    assert found.text == (
        "# Prices - Shop\n\n# Prices\n\n"
        "Call `total(amount)` to add the [tax](/tax).\nIt returns a Decimal.\n\n"
        "```\ndef total(amount):\n\n\n    return amount\n```\n\n"
        "| Country | Rate |\n| DE | 0.19 |\n\n- one\n- two\n\nUpa chart"
    )


def test_links_to_the_same_place_say_it_once() -> None:
    guide, once = "https://shop.example/guide/prices", "https://shop.example/other/page"
    links = f'<a href="{guide}">one</a>, <a href="/tax">a</a>, <a href="/tax">b</a> and <a href="{guide}">two</a>'
    text = f'<html><body><p>See {links}.</p><p>Not <a href="{once}">this</a>.</p><pre>x]({guide})</pre></body></html>'
    assert short(compress, text, NORMAL).text == (
        f"See [one][1], [a](/tax), [b](/tax) and [two][1].\n\nNot [this]({once}).\n\n"
        f"```\nx]({guide})\n```\n\n[1]: {guide}"
    )


def test_without_a_main_element_the_whole_body_is_taken() -> None:
    text = "<html><body><div><h2>A</h2><p>first</p></div><div><p>second</p></div></body></html>"
    assert short(compress, text, NORMAL).text == "## A\n\nfirst\n\nsecond"


def test_nothing_happens_where_nothing_may_be_left_out() -> None:
    assert compress(PAGE, Context()) is None


def test_what_is_no_page_stays() -> None:
    assert compress("def html(): return '<html>'", NORMAL) is None
    assert compress("<svg><path d='M0 0'/></svg>", NORMAL) is None


def test_a_page_that_scripts_fill_stays() -> None:
    assert (
        compress("<html><body><div id=app></div><script>" + "x=1;" * 2000 + "</script></body></html>", NORMAL) is None
    )


def test_deep_nesting_is_refused_and_many_open_paragraphs_are_not() -> None:
    assert compress("<html><body>" + "<div>" * (MAX_DEPTH + 1) + "x" * 9000, NORMAL) is None
    assert compress("<html><body>" + "<p>one<br>" * 20_000, NORMAL) is not None
