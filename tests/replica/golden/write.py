"""Write what PyTorch's hooks see in the twelve networks to ``golden.npz``.

Run from the root of the repository, with PyTorch installed:
``python -m tests.replica.golden.write``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from tests.replica.golden.hooks import observe
from tests.replica.golden.networks import EXAMPLES

PATH = Path(__file__).with_name("golden.npz")


def main() -> None:
    stored: dict[str, Any] = {}
    for name, make in EXAMPLES.items():
        seen = observe(name, make())
        keys = sorted(seen)
        # Single precision keeps 1e-7 of each number, a hundredth of what the test allows.
        flat = np.concatenate([seen[key].ravel() for key in keys]).astype(np.float32)
        stored[f"{name}:numbers"] = flat
        stored[f"{name}:keys"] = np.array(keys)
    np.savez_compressed(PATH, **stored)


if __name__ == "__main__":
    main()
