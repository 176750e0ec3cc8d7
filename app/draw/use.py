"""Pure: how many codes of a codebook are used, beside how many could have been."""

from __future__ import annotations

from dataclasses import dataclass

from app.draw import html
from backend.analysis.usage import utilization_ceiling


@dataclass(frozen=True)
class Use:
    """Codes that some choices used, beside what as many choices reach.

    A share of all codes says little where there are more codes than choices: of 102,400 codes a thousand tokens can use
    one in a hundred at best, and the other 99 are not dead.

    Attributes:
        used: codes chosen at least once.
        codes: K, how many there are.
        chosen: T, how many choices were made.
        reachable: codes that T choices reach on average if all K are equally likely: K (1 - exp(-T / K)).
    """

    used: int
    codes: int
    chosen: int
    reachable: float

    @property
    def share(self) -> float:
        """Used over reachable; NaN where nothing was chosen. Above 1 where use is more even than chance."""
        return self.used / self.reachable if self.reachable else float("nan")

    @property
    def short(self) -> str:
        """`67.2 % of the ceiling`."""
        return f"{html.share(self.share)} of the ceiling"

    @property
    def counts(self) -> str:
        """`435 of 647 reachable`."""
        return f"{self.used:,} of {self.reachable:,.0f} reachable"

    @property
    def definition(self) -> str:
        """What the figures mean, with their denominators, for a hover."""
        return (
            f"{self.used:,} of {self.codes:,} codes were chosen at least once in {self.chosen:,} choices; as many choices "
            f"reach {self.reachable:,.0f} codes on average if all are equally likely: K (1 - exp(-T / K))"
        )


def use_of_ceiling(used: int, codes: int, chosen: int, codebooks: int = 1) -> Use:
    """Return the codes used beside those that could have been.

    Args:
        used: codes chosen at least once.
        codes: how many there are.
        chosen: how many choices were made in each codebook: positions x slots.
        codebooks: as many codebooks of one size, of which `used` and `codes` are the sums.
    """
    return Use(used, codes, chosen, codes * float(utilization_ceiling(chosen * codebooks, codes)) if codes else 0.0)
