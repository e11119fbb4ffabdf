"""Expressions such as `glasses - no_glasses + smiling`: signed sums of named groups."""

import re
from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

from framework.errors import LatentsError

Sign = Literal["+", "-"]
_PIECE = re.compile(r"""\s*(?:(?P<plus>\+)|(?P<minus>[-−–])|(?P<name>\w+|"[^"]+"|'[^']+')|(?P<other>\S))""")
_QUOTES = "\"'"


class SignedGroup(NamedTuple):
    """One term of an expression."""

    sign: Sign
    group: str


def parse_expression(
    text: str, *, known: Iterable[str] = (), where: str = "latents.arithmetic.expression"
) -> list[SignedGroup]:
    """Parses an expression into its terms, in order.

    A name consists of letters, digits and underscores, or stands in quotes; the minus may be a hyphen, an en dash or a
    minus sign.

    >>> parse_expression("glasses − no_glasses + smiling")[1], parse_expression("'20-29' + smiling")[0]
    (SignedGroup(sign='-', group='no_glasses'), SignedGroup(sign='+', group='20-29'))

    Args:
        text: Names separated by + or -; the first name may have a sign too.
        known: Group names to list in error messages.
        where: The configuration key to name in error messages.

    Raises:
        LatentsError: The text is not such a sum; the message names the character.
    """
    terms: list[SignedGroup] = []
    sign: Sign | None = "+"  # the sign whose name comes next; the first sign may be omitted
    explicit = False
    for piece in _PIECE.finditer(text):
        token, place = piece.group(piece.lastgroup or 0), piece.start(piece.lastgroup or 0) + 1
        if piece["name"] and sign:
            terms.append(SignedGroup(sign, token if token[0] not in _QUOTES else token[1:-1]))
            sign = None
        elif (piece["plus"] or piece["minus"]) and (sign is None or not (terms or explicit)):
            sign, explicit = "+" if piece["plus"] else "-", True
        else:
            expected = "the name of a group" if sign else "+ or -"
            raise _fault(where, text, f"character {place}: expected {expected}, not {token!r}", known)
    if sign is not None:
        raise _fault(where, text, f"character {len(text) + 1}: ends where the name of a group should be", known)
    return terms


def format_expression(terms: Sequence[SignedGroup]) -> str:
    """Formats terms as text that `parse_expression` can read.

    >>> format_expression(parse_expression("-a+b"))
    '- a + b'
    """
    text = " ".join(f"{term.sign} {quoted(term.group)}" for term in terms)
    return text.removeprefix("+ ")


def quoted(name: str) -> str:
    """The name of a group as it stands in an expression: in quotes unless it has only letters, digits and underscores.

    >>> quoted("no_glasses"), quoted("Hispanic/Latino")
    ('no_glasses', '"Hispanic/Latino"')
    """
    if re.fullmatch(r"\w+", name):
        return name
    return f"'{name}'" if '"' in name else f'"{name}"'


def _fault(where: str, text: str, what: str, known: Iterable[str]) -> LatentsError:
    names = ", ".join(map(quoted, known))
    return LatentsError(f"{where}: {text!r}, {what}" + (f"; known groups: {names}" if names else ""))
