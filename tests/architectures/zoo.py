"""The examples by name."""

from __future__ import annotations

from collections.abc import Mapping

from tests.architectures import (
    decoders,
    dense,
    encoders,
    images,
    lora,
    mobile,
    others,
    text,
    timm_models,
    vision,
)
from tests.architectures.example import Example

_MODULES = (decoders, encoders, images, text, lora, vision, mobile, dense, others, timm_models)
_ALL = [example for module in _MODULES for example in module.EXAMPLES]

EXAMPLES: Mapping[str, Example] = {example.name: example for example in _ALL}
assert len(EXAMPLES) == len(_ALL), "two examples of one name"
