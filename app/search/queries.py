"""Boolean queries as people write them: `L0.mlp:4 and L1.mlp:7 not L1.mlp:9 then5 L1.mlp:8`. Pure.

`and` keeps the positions at which the next code fires too, `not` those at which it does not, `thenN` those after which
it fires within N positions of the same item (`then` alone: 5).
"""

from __future__ import annotations

import re

from backend.answers.stored import Clause, Operator
from backend.errors import BadInput

_CODE = re.compile(r"([\w./-]{1,200}):(\d{1,9})", re.ASCII)
_THEN = re.compile(r"then(\d{0,4})", re.ASCII | re.IGNORECASE)
_HOW = "Write codes as SITE:CODE joined by and, not or thenN, e.g. L0.mlp:4 and L1.mlp:7 then5 L1.mlp:8."


def parse(text: str) -> list[Clause]:
    """Read a query. Raises `BadInput` that says which word is wrong."""
    clauses: list[Clause] = []
    operator: Operator = "and"
    within, expects_code = 5, True
    for word in text.split():
        lower = word.lower()
        if expects_code:
            if lower == "not" and operator == "and" and clauses:
                operator = "and not"  # "and not" as two words
                continue
            match = _CODE.fullmatch(word)
            if match is None:
                raise BadInput(f"{word[:60]!r} is not a code. {_HOW}")
            clauses.append(Clause(match[1], int(match[2]), operator, within))
            expects_code = False
        else:
            then = _THEN.fullmatch(word)
            if lower in ("and", "&"):
                operator, within = "and", 5
            elif lower in ("not", "but"):
                operator, within = "and not", 5
            elif then is not None:
                operator, within = "then", int(then[1] or 5)
            else:
                raise BadInput(f"{word[:60]!r} stands where and, not or thenN is expected. {_HOW}")
            expects_code = True
    if not clauses:
        raise BadInput(f"The query is empty. {_HOW}")
    if expects_code:
        raise BadInput(f"The query ends with an operator; a code has to follow. {_HOW}")
    return clauses
