"""Which files are worth parsing, told from their text alone."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache

# Plain words, the commonest first: a search for a word costs next to nothing.
# What fills, draws or wraps weights is always worth a look. In place first, as torch spells it.
_IN_PLACE = frozenset(
    {b"normal", b"zeros", b"ones", b"zero", b"uniform", b"constant", b"orthogonal", b"eye",
     b"dirac", b"sparse", b"cauchy", b"exponential", b"geometric", b"bernoulli", b"random",
     b"scaling", b"fill", b"tf"}
)  # fmt: skip
# Such as masked_fill_, which serves activations.
_LAST = re.compile(rb"(?:(?:masked|index)_)?[a-z]*\Z")
_LONGEST = 16
_UNDERSCORE = ord("_")
_FILLS = (
    b"weight_norm", b"spectral_norm", b"parametrizations", b"Variable(", b"add_weight",
    b"get_variable", b"_get_clones",
)  # fmt: skip

Forms = tuple[tuple[bytes, re.Pattern[bytes]], ...]
"""Words, each with what must stand in a line beside it."""


def _forms(*pairs: tuple[bytes, bytes]) -> Forms:
    return tuple((word, re.compile(form)) for word, form in pairs)


# Prey wherever it stands.
_ANYWHERE = _forms(
    (b"isinstance(", rb"isinstance\([^()]*(?:\([^()]*)? or "),
    (b"apply(", rb"apply\(.*init"),
    (b"deepcopy(", rb"deepcopy\(\w*(?:layer|block|module)"),
)
# Arrays are prey where they are multiplied, as in a network written from scratch.
_ARRAYS = _forms(
    (b"random.", rb"(?:np|numpy|cp|cupy|xp)\.random\.|^\s*from [\w.]*random import"),
    (b"default_rng", rb""),
    *((word, rb"(?:(?:np|numpy|cp|cupy|xp)\.|(?<![\w.\"'`]))" + re.escape(word))
      for word in (b"zeros(", b"ones(", b"full(", b"eye(", b"randn(", b"rand(")),
)  # fmt: skip
_PRODUCTS = (b" @ ", b"dot(", b"np.matmul", b"numpy.matmul", b"np.einsum", b"cp.matmul", b"xp.")
# Matrices of torch that a class multiplies itself.
_MATRICES = _forms((b"= torch.", rb"self\.\w+ = torch\.(?:zeros|ones|full|eye|rand)"))
_TORCH_PRODUCTS = (b" @ ", b"matmul", b".mm(", b".bmm(", b"einsum(", b"linear(", b"dot(")
# Without one of these a file that knows torch alone makes nothing to initialise.
_LAYERS = (
    b"Linear(", b"Parameter(", b"Norm(", b"Embedding(", b"init_weights", b"init.", b"Conv2d(",
    b"Layer(", b"Attention(", b"_init(", b"_init,", b"_init)", b"_init\n", b"initializer",
    b"initialiser", b"_params(", b"_parameters(", b"requires_grad", b"Conv1d(", b"Conv3d(",
    b"Conv(", b"Transpose", b"LSTM(", b"GRU(", b"RNN(", b"Norm1d(", b"Norm2d(", b"Norm3d(",
    b"padding_idx", b"Bilinear(", b"Bag(", b"Cell(", b"PReLU(",
)  # fmt: skip
# What the rules speak of where layers of torch are made and nothing is filled.
_BESIDE_LAYERS = _forms(
    # init.xavier_normal(w), normal_init(self.fc), Layer(init=f), self.init_weights without a call
    (b"init", rb"\binit\.(?!copy_)\w+\(|\w_init=\w|^\s+(?:self|super\(\))\.\w*init\w*\s*(?:#|$)"
              rb"|^\s+(?!self\.|cls\.)[\w.]*init(?!__)\w*\((?:\w|$)|\binit import "),
    (b"nitiali", rb"(?:\w_|[=(,.] ?)initiali[sz]ers?\b"),
    (b"reset_", rb"(?:self|super\(\))\.reset_\w*\s*(?:#|$)"),
    (b"seed", rb"seed(?:_all|_everything)?\([^)]"),
    (b"requires_grad", rb"requires_grad(?:\s*=\s*True|_\((?:True)?\))"),
    # What is random, or memory as found; a parameter of one value is told by `_constants`.
    (b"Parameter(", rb"Parameter\((?:.*(?:rand|normal|uniform|empty|Tensor|eye|init|\*)|\s*$)"),
    (b".weight = self.", rb""),
    # [Layer()] * n, n * [Layer()], Sequential(*(Layer(), Tanh()) * n)
    (b"] *", rb"\)\s*\] \*|^\s*\] \*"),
    (b"* [", rb"\* \[(?!None|True|False|\d|[\"'])"),
    (b"*((", rb"[^*]\*\(\([\w.]+\("),
    (b")) *", rb"\(\*\(.*\)\) \*"),
    (b" in range(", rb"\[(\w+) for \w+ in range"),
    (b"deepcopy(", rb"deepcopy\((?:.*\)\s+for\b|[^)]*$)"),
    (b"Transformer", rb"(?<!\w)Transformer(?:En|De)coder\("),
    (b"sin(", rb"\bsin\([^)].*\*(?!.*\bcos\()|\bsin\($"),
    # isinstance(m, A and B), isinstance(m, A) or B, "weight" or "bias" in name
    (b"isinstance(", rb"isinstance\([^()]*(?:\([^()]*)? and |isinstance\($"
                     rb"|isinstance\([^()]*(?:\([^()]*\))?\) or (?:\w+\.)*[A-Z]"),
    (b" or ", rb"""^\s*(?:el)?if .*["'] or ["']|if ["']\w+["'] or """
              rb"|if (?:\w+\.)*[A-Z]\w*[a-z]\w* or "),
    (b" and ", rb"""^\s*(?:el)?if .*["'] and ["']|if ["']\w+["'] and """),
)  # fmt: skip
# [layer] * n, where the name is given what a class makes.
_REPEATED = re.compile(rb"\[(?!None|True|False|\d)(\w+)\] \*")
# nn.Parameter(torch.zeros(n, m)): two may multiply one another; vectors, as norms have, do not.
_CONSTANT = re.compile(
    rb"Parameter\((?!\s*(?:torch\.)?(?:ones|zeros)\(\w[\w.]*\)\s*\))(?!\s*\w+\b[^.(])"
)

# A layer made in a forward pass, of the framework or of a class of the file.
_FORWARDS = (b"def forward(", b"def call(", b"def __call__(")
_INDENT = re.compile(rb"([ \t]+)(?:async )?def ")
_LAYER = re.compile(
    rb"\w*(?:Linear|Conv(?:Transpose)?\dd|Norm(?:\dd)?|Embedding(?:Bag)?|Parameter(?:List|Dict)?)"
    rb"|\w*(?:LSTM|GRU|RNN)(?:Cell)?|PReLU|MultiheadAttention|Transformer(?:(?:En|De)coder(?:Layer)?)?"
    rb"|Sequential|Module(?:List|Dict)|Bilinear"
)
_CLASS = re.compile(rb"\nclass (\w+)\(([^)]*)\)")
_MADE = re.compile(rb"[A-Z]\w*+(?=\()")

_TORCH = (
    b"torch", b"numpy", b"timm", b"transformers", b"cupy", b"mmcv", b"mmengine", b"lightning",
    b"fairseq",
)  # fmt: skip
# Layers of these take initialisers and keys in many forms: any of their words is prey.
_OTHERS = (b"keras", b"tensorflow", b"jax", b"flax", b"haiku", b"equinox", b"mlx", b"paddle")
_WORDS = (
    *_LAYERS, b"Dense(", b"Conv1D(", b"Conv2D(", b"Conv3D(", b"PRNGKey", b"random.key(",
    b"random.split(",
)  # fmt: skip
_IMPORT = re.compile(rb"[ \t\f\xef\xbb\xbf]*(?:import|from)[ \t]")
_RELATIVE = re.compile(rb"from\s+\.[\w.]*\s+import\b[^\n]*\binit|from\s+\.[\w.]*\binit")


def worth_parsing(content: bytes) -> bool:
    """Return whether a file imports a framework and holds anything that a rule speaks of."""
    imports = b"\n".join(line for line in _lines(content, b"import") if _IMPORT.match(line))
    if not (_any(_TORCH, imports) or _any(_OTHERS, imports) or _RELATIVE.search(imports)):
        return False
    return _prey(content, imports)


def _prey(content: bytes, imports: bytes) -> bool:
    if _in_place(content) or _any(_FILLS, content) or _found(_ANYWHERE, content):
        return True
    if _any(_PRODUCTS, content) and _found(_ARRAYS, content):
        return True
    if _found(_MATRICES, content) and _any(_TORCH_PRODUCTS, content):
        return True
    if _any(_OTHERS, imports):
        return _any(_WORDS, content)
    if not _any(_LAYERS, content):
        return False
    if _found(_BESIDE_LAYERS, content) or _repeated(content):
        return True
    return len(_CONSTANT.findall(content)) > 1 or _layer_in_forward(content)


def _repeated(content: bytes) -> bool:
    """Return whether a list of one name, which a class has made, is multiplied."""
    if b"] *" not in content:
        return False
    return any(
        re.search(rb"\b%b = (?:\w+\.)*[A-Z]\w*\(" % name, content) is not None
        for name in set(_REPEATED.findall(content))
    )


def _in_place(content: bytes) -> bool:
    """Return whether a call fills a tensor in place: the last word of ``xavier_normal_(``."""
    at = content.find(b"_(")
    while at >= 0:
        # Two underscores end a special method.
        if content[at - 1] != _UNDERSCORE and _last(content, at) in _IN_PLACE:
            return True
        at = content.find(b"_(", at + 2)
    return False


def _last(content: bytes, at: int) -> bytes:
    found = _LAST.search(content, max(at - _LONGEST, 0), at)
    return b"" if found is None else found[0]


def _any(words: tuple[bytes, ...], content: bytes) -> bool:
    return any(word in content for word in words)


def _found(forms: Forms, content: bytes) -> bool:
    return any(
        form.search(line) is not None for word, form in forms for line in _lines(content, word)
    )


def _lines(content: bytes, word: bytes) -> Iterator[bytes]:
    """Yield the lines with a word in them."""
    at = content.find(word)
    while at >= 0:
        end = content.find(b"\n", at)
        end = len(content) if end < 0 else end
        yield content[content.rfind(b"\n", 0, at) + 1 : end]
        at = content.find(word, end)


def _layer_in_forward(content: bytes) -> bool:
    own: frozenset[bytes] | None = None
    for body in _forwards(content):
        made = set(_MADE.findall(body))
        if any(_is_layer(name) and _in_code(body, name) for name in made):
            return True
        if made and own is None:
            own = frozenset(m[1] for m in _CLASS.finditer(content) if b"Output" not in m[2])
        if own is not None and not own.isdisjoint(made):
            return True
    return False


@cache
def _is_layer(name: bytes) -> bool:
    return _LAYER.fullmatch(name) is not None


def _in_code(body: bytes, name: bytes) -> bool:
    """Return whether a name is called anywhere but in a comment."""
    return any(name + b"(" in line.partition(b"#")[0] for line in _lines(body, name))


def _forwards(content: bytes) -> Iterator[bytes]:
    """Yield the text of each forward pass, up to the next line that is indented no deeper."""
    for word in _FORWARDS:
        at = content.find(word)
        while at >= 0:
            head = _INDENT.match(content, content.rfind(b"\n", 0, at) + 1)
            at += len(word)
            if head is not None:
                end = _outside(len(head[1])).search(content, at)
                yield content[at : len(content) if end is None else end.start()]
            at = content.find(word, at)


@cache
def _outside(indent: int) -> re.Pattern[bytes]:
    """Return what finds a statement indented as deep as a function, or less."""
    return re.compile(rb"\n[ \t]{0,%d}[^\s)\]]" % indent)
