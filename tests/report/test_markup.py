"""HTML is escaped unless it was built here."""

import pytest

from fathometer.report.markup import Html, element, inline, join

ATTACK = '<script>alert("1")</script>'


def test_text_is_escaped_and_html_is_not():
    """A plain string is escaped inside an element; an element inside an element is kept."""
    inner = element("b", ATTACK)

    assert element("p", inner) == '<p><b>&lt;script&gt;alert("1")&lt;/script&gt;</b></p>'
    assert ATTACK in element("p", Html(ATTACK))


def test_attributes_cannot_be_left():
    """A quotation mark in an attribute does not end it."""
    assert element("a", href='" onclick="x') == '<a href="&quot; onclick=&quot;x"></a>'


@pytest.mark.parametrize(("value", "shown"), [(True, "<p open></p>"), (False, "<p></p>"), (None, "<p></p>")])
def test_attributes_may_be_switches(value, shown):
    """True is an attribute without a value; False and None are none."""
    assert element("p", open=value) == shown


def test_code_in_prose_is_escaped_too():
    """What stands between backticks is code, and is escaped; a single backtick is a backtick."""
    assert inline("`a<b` and ` < ") == "<code>a&lt;b</code> and ` &lt; "


def test_joined_parts_are_escaped_one_by_one():
    """Joining escapes the plain parts and keeps the built ones."""
    assert join([element("i", "a"), "<"], ", ") == "<i>a</i>, &lt;"
