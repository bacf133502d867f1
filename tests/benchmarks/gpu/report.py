"""Keep the figures of a part in a JSON file that is complete at every moment. Imports nothing but Python's own."""

import json
import os
import time
from pathlib import Path
from typing import Any


def write_json(path: Path, content: Any) -> None:
    """Replace a file in one move, so that whoever is stopped meanwhile leaves the old one."""
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", "utf-8")
    os.replace(temporary, path)


class Report:
    """Figures by name, written at each change.

    Args:
        path: the JSON file.

    Attributes:
        content: what the file holds.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._started = time.perf_counter()
        self.content: dict[str, Any] = {}

    def put(self, value: Any, *keys: str | int) -> None:
        """Set the value under nested keys, and write the file."""
        place = self.content
        for key in keys[:-1]:
            place = place.setdefault(str(key), {})
        place[str(keys[-1])] = value
        self._write()

    def append(self, value: Any, *keys: str | int) -> None:
        """Add the value to the list under nested keys, and write the file."""
        place = self.content
        for key in keys[:-1]:
            place = place.setdefault(str(key), {})
        place.setdefault(str(keys[-1]), []).append(value)
        self._write()

    def _write(self) -> None:
        self.content["seconds"] = round(time.perf_counter() - self._started, 1)
        write_json(self._path, self.content)
