"""Which files are worth parsing, told from their text alone."""

from __future__ import annotations

import re

# Every rule's prey has one of these in it; a file with none of them holds nothing to judge.
# Plain words, the commonest first: a search for a word costs next to nothing.
_PREY = (
    b"Linear(", b"init_weights", b"Parameter(", b"init.", b"Norm(", b"Embedding(", b"Conv2d(",
    b"normal_(", b"zero_(", b"fill_(", b"uniform_(", b"zeros_(", b"ones_(", b"initializer",
    b"initialiser", b"_init(", b"_init,", b"_init)", b"_init\n", b"_params(", b"_parameters(",
    b"requires_grad", b"Variable(", b"add_weight", b"get_variable", b"seed(", b"Dense(",
    b"Conv1d(", b"Conv3d(", b"Conv(", b"Conv1D(", b"Conv2D(", b"Conv3D(", b"Transpose(",
    b"LSTM(", b"GRU(", b"RNN(", b"Norm1d(", b"Norm2d(", b"Norm3d(", b"Attention(", b"Layer(",
    b"weight_norm", b"spectral_norm", b"padding_idx", b"PRNGKey", b"random.key(", b"random.split(",
    b"Bilinear(",
)  # fmt: skip
# These are prey only where matrices are multiplied, as in a network written from scratch.
_MATRICES = (
    b"zeros(",
    b"ones(",
    b"randn(",
    b"rand(",
    b"random.",
    b"full(",
    b"eye(",
    b"default_rng",
)
_PRODUCTS = (b" @ ", b"dot(", b"matmul", b"einsum(", b".mm(", b"linear(")
_FORMS = re.compile(
    rb"isinstance\([^)]* or |\.apply\([^)\n]*init|deepcopy\(\w*(?:layer|block|module)"
)
_FRAMEWORKS = (
    b"torch", b"numpy", b"keras", b"tensorflow", b"jax", b"flax", b"timm", b"transformers",
    b"haiku", b"equinox", b"cupy", b"mlx", b"paddle", b"mmcv", b"mmengine", b"lightning",
    b"fairseq",
)  # fmt: skip
_RELATIVE = re.compile(rb"from\s+\.[\w.]*\s+import\b[^\n]*\binit|from\s+\.[\w.]*\binit")


def worth_parsing(content: bytes) -> bool:
    """Return whether a file imports a framework and holds anything that a rule speaks of."""
    return _framework(content) and _prey(content)


def _prey(content: bytes) -> bool:
    if _any(_PREY, content):
        return True
    if _any(_MATRICES, content) and _any(_PRODUCTS, content):
        return True
    return _FORMS.search(content) is not None


def _any(words: tuple[bytes, ...], content: bytes) -> bool:
    return any(word in content for word in words)


def _framework(content: bytes) -> bool:
    """Return whether a line imports a framework, or an initialising module of the project."""
    if any(_imported(content, name) for name in _FRAMEWORKS):
        return True
    return b"init" in content and _RELATIVE.search(content) is not None


def _imported(content: bytes, name: bytes) -> bool:
    at = content.find(name)
    while at >= 0:
        start = content.rfind(b"\n", 0, at) + 1
        line = content[start:at].lstrip(b" \t\f\xef\xbb\xbf")
        if line.startswith((b"import ", b"from ", b"import\t", b"from\t")):
            return True
        at = content.find(name, at + len(name))
    return False
