"""Count what a program asks of the accelerator: calls, waits for its results, and copies to it."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass
class Counts:
    """What was asked of the device.

    Attributes:
        calls: operator name -> calls that compute something, each of them a kernel or more on a GPU. Views and allocations,
            which launch nothing, are not among them.
        waits: operator name -> calls for which the program waits until the device has done all that was asked before, since
            they bring numbers, or a shape that depends on numbers, to the CPU.
        uploads: copies from the CPU to the device. From ordinary memory these wait, too; they are counted here alone.
    """

    calls: Counter[str] = field(default_factory=Counter)
    waits: Counter[str] = field(default_factory=Counter)
    uploads: int = 0

    def copy(self) -> "Counts":
        """The numbers as they are now."""
        return Counts(self.calls.copy(), self.waits.copy(), self.uploads)

    def since(self, before: "Counts") -> "Counts":
        """What came after ``before``, which was a copy of this."""
        return Counts(self.calls - before.calls, self.waits - before.waits, self.uploads - before.uploads)

    def summary(self) -> dict[str, int]:
        """The three totals."""
        return {"calls": self.calls.total(), "waits": self.waits.total(), "uploads": self.uploads}


COUNTS = Counts()
"""Those of this process, all threads together."""


@contextmanager
def counted() -> Iterator[Counts]:
    """Give an empty ``Counts`` that is filled at the end of the block with what the block asked for."""
    before, found = COUNTS.copy(), Counts()
    try:
        yield found
    finally:
        after = COUNTS.since(before)
        found.calls, found.waits, found.uploads = after.calls, after.waits, after.uploads
