import pytest
from hypothesis import given
from hypothesis import strategies as st

from framework.errors import LatentsError
from framework.latents.attributes.expression import SignedGroup, format_expression, parse_expression

TERMS = st.lists(
    st.builds(SignedGroup, st.sampled_from(["+", "-"]), st.from_regex(r"\w{1,12}", fullmatch=True)),
    min_size=1,
    max_size=12,
)


@given(TERMS)
def test_what_is_written_is_read_back(terms):
    assert parse_expression(format_expression(terms)) == terms
    assert parse_expression(format_expression(terms).replace(" ", "").replace("-", "−")) == terms


@given(st.from_regex(r"[^\"]{1,12}|[^']{1,12}", fullmatch=True))
def test_any_name_can_be_quoted(name):
    terms = [SignedGroup("-", name), SignedGroup("+", "b")]
    assert parse_expression(format_expression(terms)) == terms


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("glasses - no_glasses + smiling", ["+glasses", "-no_glasses", "+smiling"]),
        ("glasses − no_glasses – smiling", ["+glasses", "-no_glasses", "-smiling"]),
        ("-a", ["-a"]),
        (" + a\n-b ", ["+a", "-b"]),
        ("a+a+a", ["+a", "+a", "+a"]),
        ("5_o_clock_shadow-Ärmel", ["+5_o_clock_shadow", "-Ärmel"]),
        ('"Hispanic/Latino" - \'more than 70\' + "20-29"', ["+Hispanic/Latino", "-more than 70", "+20-29"]),
    ],
)
def test_expressions(text, terms):
    assert [term.sign + term.group for term in parse_expression(text)] == terms


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("", "character 1: ends where the name of a group should be"),
        ("   ", "character 4: ends where"),
        ("a +", "character 4: ends where"),
        ("a b", "character 3: expected + or -, not 'b'"),
        ("a - - b", "character 5: expected the name of a group, not '-'"),
        ("--a", "character 2: expected the name of a group, not '-'"),
        ("a * b", "character 3: expected + or -, not '*'"),
        ("2.5 a", "character 2: expected + or -, not '.'"),
        ("(a)", "character 1: expected the name of a group, not '('"),
    ],
)
def test_what_is_no_sum_is_refused_at_its_place(text, place):
    with pytest.raises(LatentsError) as fault:
        parse_expression(text, known=["glasses", "old"])
    message = str(fault.value)
    assert message.startswith(f"latents.arithmetic.expression: {text!r}, {place}")
    assert message.endswith(": glasses, old")
    assert "\n" not in message
