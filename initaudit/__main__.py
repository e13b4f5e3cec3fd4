"""``python -m initaudit`` and the ``initaudit`` command."""

from __future__ import annotations

import os

# One thread a process: the products of small networks are too short to share, and the idle
# threads of a BLAS spin. The variables are read when NumPy is first imported.
_ONE_THREAD = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")


def run() -> None:
    """Run the command line and exit."""
    for variable in _ONE_THREAD:
        os.environ.setdefault(variable, "1")
    from initaudit.cli import main

    main()


if __name__ == "__main__":
    run()
