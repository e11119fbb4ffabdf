"""`glasses - no_glasses + smiling`: a signed sum of named groups."""

import re
from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

from framework.errors import LatentsError

Sign = Literal["+", "-"]
_PIECE = re.compile(r"\s*(?:(?P<plus>\+)|(?P<minus>[-−–])|(?P<name>\w+)|(?P<other>\S))")


class SignedGroup(NamedTuple):
    """One term of an expression."""

    sign: Sign
    group: str


def parse_expression(text: str, *, known: Iterable[str] = (), where: str = "latents.expression") -> list[SignedGroup]:
    """The terms in their order. A name is letters, digits and underscores; a minus may be typed or typeset.

    >>> parse_expression("glasses − no_glasses + smiling")[1]
    SignedGroup(sign='-', group='no_glasses')

    Args:
        text: Names with + or - between them; the first may have a sign too.
        known: Names to mention where something is wrong.
        where: The key it comes from.

    Raises:
        LatentsError: It is no such sum; the message says at which character.
    """
    terms: list[SignedGroup] = []
    sign: Sign | None = "+"  # the sign that waits for its name; the first may be left out
    explicit = False
    for piece in _PIECE.finditer(text):
        found, place = piece.group(piece.lastgroup or 0), piece.start(piece.lastgroup or 0) + 1
        if piece["name"] and sign:
            terms.append(SignedGroup(sign, found))
            sign = None
        elif (piece["plus"] or piece["minus"]) and (sign is None or not (terms or explicit)):
            sign, explicit = "+" if piece["plus"] else "-", True
        else:
            wanted = "the name of a group" if sign else "+ or -"
            raise _fault(where, text, f"character {place}: wants {wanted}, not {found!r}", known)
    if sign is not None:
        raise _fault(where, text, f"character {len(text) + 1}: ends where the name of a group should be", known)
    return terms


def format_expression(terms: Sequence[SignedGroup]) -> str:
    """The terms as text that `parse_expression` reads back.

    >>> format_expression(parse_expression("-a+b"))
    '- a + b'
    """
    text = " ".join(f"{term.sign} {term.group}" for term in terms)
    return text.removeprefix("+ ")


def _fault(where: str, text: str, what: str, known: Iterable[str]) -> LatentsError:
    names = ", ".join(known)
    return LatentsError(f"{where}: {text!r}, {what}" + (f"; known groups: {names}" if names else ""))
