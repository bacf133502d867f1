"""Run the lit-rlvr command as if some packages were not installed: those named in BENCH_HIDDEN, separated by commas."""

import os
import sys
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

VARIABLE = "BENCH_HIDDEN"


class Without:
    """A finder of modules that does not find some packages; asked for their modules, it says there are none.

    Args:
        finder: asked for all others.
        names: the packages.
    """

    def __init__(self, finder: Any, names: set[str]) -> None:
        self._finder, self._names = finder, names

    def __getattr__(self, name: str) -> Any:
        return getattr(self._finder, name)

    def find_spec(self, name: str, path: Any = None, target: ModuleType | None = None) -> ModuleSpec | None:
        """What ``import`` and ``importlib.util.find_spec`` ask."""
        return None if name.partition(".")[0] in self._names else self._finder.find_spec(name, path, target)


def hide(names: set[str]) -> None:
    """Make packages that have not been imported yet look as if they were not there, in this process."""
    sys.meta_path[:] = [Without(finder, names) for finder in sys.meta_path]


if __name__ == "__main__":
    hide(set(filter(None, os.environ.get(VARIABLE, "").split(","))))
    from lit_rlvr.__main__ import main

    main()
