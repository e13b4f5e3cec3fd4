"""What PyTorch saw of every example that is rebuilt, where PyTorch is not.

The weights are drawn from their names, so a file holds names, shapes and numbers only.
``python -m tests.architectures.golden`` measures again and rewrites the files; ``--check`` says
instead whether what PyTorch sees is still what they hold.
"""

from __future__ import annotations

import argparse
import json
import re
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import reduce
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.numpy import save_file

from tests.architectures.compare import Comparison, compare, rebuilt
from tests.architectures.draws import normal

if TYPE_CHECKING:
    from tests.architectures.example import Example

Array = NDArray[Any]
Packed = dict[str, Any]

FOLDER = Path(__file__).with_name("golden")
FILE = "model.safetensors"
STD_DIGITS, GRADIENT_DIGITS = 6, 5
MOST = 30_000
"""Bytes of the largest file that is kept."""

_SPREAD = ("shapes", "kept", "stds", "sizes", "gradients")
_UNTOLD = frozenset(
    {"transformers_version", "dtype", "id2label", "label2id", "initializer_range", "use_cache",
     "bos_token_id", "eos_token_id", "attention_dropout", "hidden_dropout_prob",
     "attention_probs_dropout_prob"}
)  # fmt: skip
"""Keys of ``config.json`` that no graph follows from."""


@dataclass(frozen=True)
class Output:
    """The standard deviation of a module's output and, where no layer has its name, its size."""

    std: float
    size: int
    kind: str = ""


@dataclass(frozen=True)
class Golden:
    """One file: how the weights and the inputs are made again, and what was seen of them."""

    name: str
    shapes: Mapping[str, tuple[int, ...]]
    kept: Mapping[str, Array]
    metadata: Mapping[str, str]
    config: Mapping[str, Any] | None
    feed: Mapping[str, Array]
    modules: Mapping[str, Output]
    gradients: Mapping[str, float]
    ends: Mapping[str, tuple[tuple[int, ...], float]]

    def save(self, folder: Path) -> None:
        """Write the checkpoint."""
        held = {name: drawn(name, shape) for name, shape in self.shapes.items()}
        held |= self.kept
        save_file(held, folder / FILE, dict(self.metadata))
        if self.config is not None:
            (folder / "config.json").write_text(json.dumps(self.config), "utf-8")

    def compared(self) -> Comparison:
        """Set the replica beside what was seen."""
        with tempfile.TemporaryDirectory() as folder:
            self.save(Path(folder))
            network, arrays = rebuilt(Path(folder))
            return compare(self.name, network, arrays, self.feed, self)


def drawn(name: str, shape: tuple[int, ...]) -> Array:
    """Return a weight of a healthy size, a function of its name: float32."""
    draw = normal(name, shape)
    if len(shape) > 1:
        draw /= np.sqrt(prod(shape[1:]))
    else:
        draw *= 0.1
        if name.endswith(("weight", "running_var")):
            draw = 1.0 + draw
    return draw.astype(np.float32)


def files() -> list[Path]:
    """Return the files, sorted."""
    return sorted(FOLDER.glob("*.json"))


def load(path: Path) -> Golden:
    """Read a file."""
    held = json.loads(path.read_text("utf-8"))
    parts = {key: unpacked(held[key], held["places"]) for key in _SPREAD}
    return Golden(
        name=path.stem,
        shapes={name: tuple(shape) for name, shape in parts["shapes"].items()},
        kept={name: _kept(*given) for name, given in parts["kept"].items()},
        metadata=held["metadata"],
        config=held["config"],
        feed={name: _fed(name, given) for name, given in held["feed"].items()},
        modules={
            name: Output(std, parts["sizes"].get(name, 0)) for name, std in parts["stds"].items()
        },
        gradients=parts["gradients"],
        ends={name: (tuple(shape), std) for name, (shape, std) in held["ends"].items()},
    )


def _kept(kind: str, shape: list[int], values: Any) -> Array:
    if values == "lower":
        return np.tril(np.ones(shape)).astype(kind)
    return np.array(values).reshape(shape).astype(kind)


def _fed(name: str, given: Any) -> Array:
    if isinstance(given, dict):
        return normal(f"{name} 0", tuple(given["normal"])).astype(np.float32).astype(np.float64)
    return np.array(given)


# Names that differ in numbers alone are stored once.

_NUMBER = re.compile(r"(?<=\.)\d+(?=\.|$)")


def packed(values: Mapping[str, Any], places: list[str]) -> Packed:
    """Return values by pattern: ``#`` stands for each number in a name.

    Where numbers do not count from 0, ``at`` is the place in ``places`` where they are listed.
    """
    found: dict[str, dict[str, Any]] = {}
    for name, value in values.items():
        numbers = " ".join(_NUMBER.findall(f".{name}"))
        found.setdefault(_NUMBER.sub("#", f".{name}")[1:], {})[numbers] = value
    return {
        pattern: _listed(held, places) if "#" in pattern else held[""]
        for pattern, held in found.items()
    }


def _listed(held: Mapping[str, Any], places: list[str]) -> Packed:
    values, at = list(held.values()), ",".join(held)
    same = all(value == values[0] for value in values)
    told: Packed = {"each": values[0], "n": len(values)} if same else {"all": values}
    if at == ",".join(map(str, range(len(values)))):
        return told
    if at not in places:
        places.append(at)
    return told | {"at": places.index(at)}


def unpacked(held: Packed, places: list[str]) -> dict[str, Any]:
    """Return values by name."""
    found = {}
    for pattern, told in held.items():
        if "#" not in pattern:
            found[pattern] = told
            continue
        values = told["all"] if "all" in told else [told["each"]] * told["n"]
        counted = map(str, range(len(values)))
        at = places[told["at"]].split(",") if "at" in told else counted
        for numbers, value in zip(at, values, strict=True):
            found[reduce(_put, numbers.split(), pattern)] = value
    return found


def _put(pattern: str, number: str) -> str:
    return pattern.replace("#", number, 1)


# Measured with PyTorch.


def measured(example: Example) -> Golden:
    """Draw an example's weights anew and return what PyTorch sees of them."""
    from tests.architectures.hooks import observe

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = example.build()
        buffers = {n for n, _ in model.named_buffers()}
        example.save(model, folder)
        (file,) = folder.glob("*.safetensors")
        with safe_open(file, framework="np") as opened:
            metadata = opened.metadata() or {}
            held = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
        kept = {n: a for n, a in held.items() if a.dtype.kind != "f" or _constant(n, buffers)}
        made = {n: drawn(n, a.shape) for n, a in held.items() if n not in kept}
        save_file({**made, **kept}, file, metadata)
        seen = observe(example, folder)
        config = folder / "config.json"
        raw = json.loads(config.read_text("utf-8")) if config.exists() else None
    return Golden(
        name=example.name,
        shapes={n: a.shape for n, a in made.items()},
        kept=kept,
        metadata=metadata,
        config=raw and {k: v for k, v in raw.items() if k not in _UNTOLD and v is not None},
        feed=example.feed(0),
        modules={n: Output(o.std, o.size) for n, o in seen.modules.items()},
        gradients=seen.gradients,
        ends=seen.ends,
    )


def written(golden: Golden, comparison: Comparison) -> str:
    """Return a file's text, one pattern a line: what both sides have of ``golden``."""
    places: list[str] = []
    rows = {row.name: row for row in comparison.forward}
    stds = {n: _rounded(golden.modules[n].std, STD_DIGITS) for n in rows}
    sizes = {n: golden.modules[n].size for n, row in rows.items() if row.layer != n}
    spread: Mapping[str, Mapping[str, Any]] = {
        "shapes": {n: list(shape) for n, shape in golden.shapes.items()},
        "kept": {n: _keeping(a) for n, a in golden.kept.items()},
        "stds": stds,
        "sizes": sizes,
        "gradients": {n: _rounded(g, GRADIENT_DIGITS) for n, g in golden.gradients.items()},
    }
    held: Packed = {
        "metadata": golden.metadata,
        "config": golden.config,
        "feed": {n: _feeding(n, a) for n, a in golden.feed.items()},
        "ends": {n: [shape, _rounded(std, STD_DIGITS)] for n, (shape, std) in golden.ends.items()},
        **{key: packed(values, places) for key, values in spread.items()},
        "places": places,
    }
    parts = []
    for key, value in held.items():
        lines = []
        if key in _SPREAD:
            lines = [f"  {_text(name)}: {_text(told)}" for name, told in value.items()]
        inner = "{\n" + ",\n".join(lines) + "\n}" if lines else _text(value)
        parts.append(f"{_text(key)}: {inner}")
    return "{" + ",\n".join(parts) + "}\n"


def _keeping(array: Array) -> list[Any]:
    """Return dtype, shape and values; those of a mask below the diagonal by a word."""
    lower = array.ndim > 1 and np.array_equal(array, np.tril(np.ones(array.shape)))
    return [str(array.dtype), list(array.shape), "lower" if lower else array.ravel().tolist()]


def _constant(name: str, buffers: Iterable[str]) -> bool:
    return name in buffers and not name.endswith(("running_mean", "running_var"))


def _feeding(name: str, array: Array) -> Any:
    if array.dtype.kind == "i":
        return array.tolist()
    assert np.array_equal(array, _fed(name, {"normal": array.shape})), name
    return {"normal": list(array.shape)}


def _rounded(value: float, digits: int) -> float:
    return float(f"{value:.{digits}g}")


def _text(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))


def main() -> None:
    from tests.architectures.library import hush
    from tests.architectures.zoo import EXAMPLES

    parser = argparse.ArgumentParser(prog="python -m tests.architectures.golden")
    parser.add_argument("--only", action="append", metavar="NAME", choices=list(EXAMPLES))
    parser.add_argument("--check", action="store_true", help="compare instead of writing")
    options = parser.parse_args()
    hush()
    changed: list[str] = []
    texts: dict[str, str] = {}
    for name in options.only or [e.name for e in EXAMPLES.values() if e.parity]:
        path, golden = FOLDER / f"{name}.json", measured(EXAMPLES[name])
        comparison = golden.compared()
        ahead, back = comparison.worst
        if not comparison.agrees:
            print(f"{name:<20} left out: {comparison.failed[:90] or f'{ahead:.1e}, {back:.1e}'}")
            continue
        text = written(golden, comparison)
        if text in texts:
            print(f"{name:<20} left out: with other weights it is {texts[text]}")
            continue
        texts[text] = name
        if len(text) > MOST:
            print(f"{name:<20} left out: {len(text):,} bytes")
            continue
        if options.check:
            changed += [name] * (not path.exists() or path.read_text("utf-8") != text)
            continue
        FOLDER.mkdir(exist_ok=True)
        path.write_text(text, "utf-8")
        print(f"{name:<20} {len(text):>7,} bytes, forward {ahead:.1e}, gradient {back:.1e}")
    if options.check:
        print(f"changed: {', '.join(changed) or 'none'}")
    else:
        print(f"{sum(path.stat().st_size for path in files()):,} bytes in all")
    raise SystemExit(bool(changed))


if __name__ == "__main__":
    main()
