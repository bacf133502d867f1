"""One side in a process of its own: a task in, one JSON object out.

python -m tests.benchmarks.step.side ours|peer TASK OUT [CHECKOUT]

With CHECKOUT the package is that checkout's; the benchmark is always this one.
"""

import json
import sys
from pathlib import Path


def main(side: str, task: Path, out: Path, checkout: Path | None = None) -> None:
    """Run it."""
    if checkout is not None:
        sys.path.insert(0, str(checkout))
    # Only now, so that the checkout's package is found.
    import torch

    import lit_rlvr
    from tests.benchmarks.step.works import Task

    assert checkout is None or Path(lit_rlvr.__file__).is_relative_to(checkout)
    todo = Task.read(task)
    torch.set_num_threads(todo.threads)
    if side == "peer":
        from tests.benchmarks.step.peer import run
    else:
        from tests.benchmarks.step.ours import run
    out.write_text(json.dumps(run(todo)))


if __name__ == "__main__":
    main(sys.argv[1], *map(Path, sys.argv[2:]))
