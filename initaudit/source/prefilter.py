"""Which files are worth parsing, told from their text alone."""

from __future__ import annotations

import re

# Every rule's prey has one of these in it; a file with none of them holds nothing to judge.
_PREY = re.compile(
    rb"\binit\.|initiali[sz]er|init_weights|reset_parameters|_init\b|fill_\(|zero_\(|normal_\("
    rb"|uniform_\(|Parameter\(|random\.|Variable\(|requires_grad|weight_norm|spectral_norm"
    rb"|deepcopy|TransformerEncoder|TransformerDecoder|manual_seed|\] *\*|zeros\(|ones\("
    rb"|randn\(|rand\(|add_weight|get_variable|padding_idx|\.apply\(|isinstance\([^)]* or "
    rb"|nn\.(?:Linear|Conv|Embedding|LSTM|GRU)\w*\(|layers\.(?:Dense|Conv)\w*\(|_seed\("
)
_FRAMEWORK = re.compile(
    rb"^\s*(?:import|from)\s+(?:torch|tensorflow|keras|jax|flax|haiku|equinox|numpy|cupy|mlx"
    rb"|paddle|timm|mmcv|mmengine|pytorch_lightning|lightning|tf_keras|fairseq|transformers)\b"
    rb"|^\s*from\s+\.[\w.]*\s+import\b[^\n]*\binit",
    re.MULTILINE,
)


def worth_parsing(content: bytes) -> bool:
    """Return whether a file imports a framework and holds anything that a rule speaks of."""
    return _PREY.search(content) is not None and _FRAMEWORK.search(content) is not None
