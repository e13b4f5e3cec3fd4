"""The examples by name."""

from __future__ import annotations

from collections.abc import Mapping

from tests.architectures import decoders, encoders, images
from tests.architectures.example import Example

_ALL = (*decoders.EXAMPLES, *encoders.EXAMPLES, *images.EXAMPLES)

EXAMPLES: Mapping[str, Example] = {example.name: example for example in _ALL}
assert len(EXAMPLES) == len(_ALL), "two examples of one name"
