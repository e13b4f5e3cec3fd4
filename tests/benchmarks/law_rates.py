"""How often a fresh draw of each initialiser is named right, and a trained matrix named at all.

Run ``python tests/benchmarks/law_rates.py [--draws 100] [--long]``. Draws come from torch where it
is installed; Keras's and JAX's laws are written out from their documented definitions. Prints one
line per initialiser with its worst case over shapes and storage, and exits 1 below 99 of 100 draws
or when more than one in twenty trained matrices is named.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median

import ml_dtypes
import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from initaudit.checkpoint.law import Sample, recognise

Array = NDArray[np.float64]
Draw = Callable[[tuple[int, ...], np.random.Generator], Array]

MATRICES: tuple[tuple[int, ...], ...] = ((64, 64), (128, 64), (64, 256), (512, 512))
KERNELS: tuple[tuple[int, ...], ...] = ((64, 32, 3, 3),)
STORED = {"F32": np.float32, "F16": np.float16, "BF16": ml_dtypes.bfloat16}
LEAST, MOST_TRAINED = 0.99, 0.05
SAMPLED = 65_536


@dataclass(frozen=True, slots=True)
class Case:
    """An initialiser: its name for a person and in its framework, and how it draws."""

    name: str
    family: str
    expected: str
    draw: Draw
    last: bool = False
    shapes: tuple[tuple[int, ...], ...] = (*MATRICES, *KERNELS)


def sample(array: Array, out_axis: int, dtype: str) -> Sample:
    """Return what the statistics pass would hand over for an array."""
    flat = array.ravel()
    step = max(flat.size / SAMPLED, 1.0)
    places = (np.arange(min(flat.size, SAMPLED)) * step).astype(np.intp)
    return Sample(
        shape=array.shape,
        out_axis=out_axis,
        dtype=dtype,
        count=flat.size,
        mean=float(flat.mean()),
        variance=float(flat.var()),
        minimum=float(flat.min()),
        maximum=float(flat.max()),
        zeros=int(flat.size - np.count_nonzero(flat)),
        values=flat[places],
        block=array if flat.size <= 2**20 else None,
    )


def stored(array: Array, dtype: str) -> Array:
    """Return an array as it reads back after rounding to a dtype."""
    with np.errstate(under="ignore"):
        rounded: Array = array.astype(STORED[dtype]).astype(np.float64)
    return rounded


def fans(shape: tuple[int, ...]) -> dict[str, float]:
    """Return the fans of a kernel stored as (*window, in, out), as Keras and JAX count them."""
    window = math.prod(shape[:-2])
    inward, outward = float(shape[-2] * window), float(shape[-1] * window)
    return {
        "fan_in": inward,
        "fan_out": outward,
        "fan_avg": (inward + outward) / 2,
        "fan_geo_avg": math.sqrt(inward * outward),
    }


def cut_normal(shape: tuple[int, ...], rng: np.random.Generator, cut: float = 2.0) -> Array:
    """Return standard normals, those beyond the cut drawn again."""
    values = rng.standard_normal(shape)
    while np.any(beyond := np.abs(values) > cut):
        values[beyond] = rng.standard_normal(int(beyond.sum()))
    return values


def scaled(scale: float, mode: str, distribution: str) -> Draw:
    """Return VarianceScaling(scale, mode, distribution)."""

    def draw(shape: tuple[int, ...], rng: np.random.Generator) -> Array:
        std = math.sqrt(scale / fans(shape)[mode])
        if distribution == "uniform":
            return rng.uniform(-math.sqrt(3) * std, math.sqrt(3) * std, shape)
        if distribution == "normal":
            return rng.normal(0, std, shape)
        return std / 0.87962566103423978 * cut_normal(shape, rng)

    return draw


def orthonormal(rows: int, columns: int, rng: np.random.Generator) -> Array:
    """Return a semi-orthogonal matrix, uniform over all."""
    tall, short = max(rows, columns), min(rows, columns)
    q, r = np.linalg.qr(rng.standard_normal((tall, short)))
    q = q * np.sign(np.diag(r))
    return q if rows == tall else q.T


def orthogonal(gain: float) -> Draw:
    """Return Orthogonal(gain): orthogonal after flattening all axes but the last."""
    return lambda shape, rng: (
        gain * orthonormal(math.prod(shape[:-1]), shape[-1], rng).reshape(shape)
    )


def delta_orthogonal(shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    """Return an orthogonal matrix at the centre of a kernel that is zero elsewhere."""
    kernel = np.zeros(shape)
    centre = tuple((size - 1) // 2 for size in shape[:-2])
    kernel[centre] = orthonormal(shape[-1], shape[-1], rng)[: shape[-2]]
    return kernel


def fourier(side: str) -> Draw:
    """Return STFTInitializer(side): cosines or sines under a Hann window."""

    def draw(shape: tuple[int, ...], _: np.random.Generator) -> Array:
        frame, frequencies = shape[0], shape[2]
        window = 0.5 - 0.5 * np.cos(2 * math.pi * np.arange(frame) / (frame - 1))
        angles = -np.outer(np.arange(frame), np.arange(frequencies)) * math.pi / (frequencies - 1)
        waves = np.cos(angles) if side == "real" else np.sin(angles)
        kernel: Array = (waves * window[:, None] / math.sqrt(float(window @ window)))[:, None, :]
        return kernel

    return draw


def documented() -> Iterator[Case]:
    """Yield the laws of keras.initializers and jax.nn.initializers."""
    shapes = (*MATRICES, (3, 3, 32, 64))
    words = {"uniform": "uniform", "normal": "normal", "truncated": "normal"}
    for distribution, word in words.items():
        tail = " (truncated)" if distribution == "truncated" else ""
        for scale, mode, label in (
            (1.0, "fan_avg", f"Glorot {word}"),
            (2.0, "fan_in", f"He {word}, fan_in"),
            (2.0, "fan_out", f"He {word}, fan_out"),
            (2.0, "fan_avg", f"He {word}, fan_avg"),
            (1.0, "fan_in", f"LeCun {word}"),
            (1.0, "fan_out", f"LeCun {word}, fan_out"),
            (1.0, "fan_geo_avg", f"variance scaling {word}, fan_geo_avg"),
        ):
            name = f"VarianceScaling({scale:g}, {mode}, {distribution})"
            draw = scaled(scale, mode, distribution)
            yield Case(name, distribution, label + tail, draw, last=True, shapes=shapes)
    for std in (0.05, 0.01, 0.02, 0.3):
        yield Case(
            f"normal, stddev {std:g}",
            "normal",
            f"N(0, {std:g})",
            lambda shape, rng, std=std: rng.normal(0, std, shape),  # type: ignore[misc]
            last=True,
            shapes=shapes,
        )
        yield Case(
            f"truncated_normal, stddev {std:g}",
            "truncated",
            f"truncated normal, std {std:g}",
            lambda shape, rng, std=std: std * cut_normal(shape, rng),  # type: ignore[misc]
            last=True,
            shapes=shapes,
        )
    for low, high in ((-0.05, 0.05), (0.0, 0.01), (0.0, 1.0), (-0.2, 0.4), (-0.3, 0.3)):
        yield Case(
            f"uniform, {low:g} to {high:g}",
            "uniform",
            f"U[{low:g}, {high:g}]",
            lambda shape, rng, a=low, b=high: rng.uniform(a, b, shape),  # type: ignore[misc]
            last=True,
            shapes=shapes,
        )
    yield Case("Orthogonal", "orthogonal", "orthogonal", orthogonal(1), last=True, shapes=shapes)
    yield Case(
        "Orthogonal, gain sqrt(2)",
        "orthogonal",
        "orthogonal, gain 1.41",
        orthogonal(math.sqrt(2)),
        last=True,
        shapes=shapes,
    )
    yield Case(
        "delta_orthogonal",
        "orthogonal",
        "delta-orthogonal",
        delta_orthogonal,
        last=True,
        shapes=((3, 3, 32, 64), (5, 64, 64), (3, 3, 3, 16, 32)),
    )
    for side in ("real", "imag"):
        part = "real" if side == "real" else "imaginary"
        yield Case(
            f"STFT, {side}",
            "identity",
            f"STFT kernel, {part} part",
            fourier(side),
            last=True,
            shapes=((128, 1, 65), (200, 1, 129)),
        )


def live() -> Iterator[Case]:
    """Yield the laws of torch.nn.init, drawn by torch itself."""
    try:
        import torch
    except ImportError:
        print("torch is not installed: its initialisers are not drawn")
        return
    init = torch.nn.init

    def case(
        name: str,
        family: str,
        expected: str,
        fill: Callable[..., object],
        shapes: tuple[tuple[int, ...], ...] = (*MATRICES, *KERNELS),
        **settings: object,
    ) -> Case:
        def draw(shape: tuple[int, ...], rng: np.random.Generator) -> Array:
            torch.manual_seed(int(rng.integers(2**31)))
            tensor = torch.empty(shape)
            fill(tensor, **settings)
            array: Array = tensor.double().numpy()
            return array

        return Case(f"torch {name}", family, expected, draw, shapes=shapes)

    yield case("zeros_", "zeros", "zeros", init.zeros_)
    yield case("ones_", "constant", "ones", init.ones_)
    yield case("constant_ 0.5", "constant", "constant 0.5", init.constant_, val=0.5)
    yield case("eye_", "identity", "identity", init.eye_, MATRICES)
    conv = ((64, 32, 3, 3), (32, 64, 5), (16, 16, 3, 3, 3))
    yield case("dirac_", "identity", "Dirac", init.dirac_, conv)
    yield case("dirac_ of 2 groups", "identity", "Dirac", init.dirac_, conv, groups=2)
    yield case("uniform_", "uniform", "U[0, 1]", init.uniform_)
    yield case("uniform_ 0.1", "uniform", "U[-0.1, 0.1]", init.uniform_, a=-0.1, b=0.1)
    yield case("normal_", "normal", "N(0, 1)", init.normal_)
    for std in (0.3, 0.02, 0.01, 0.006):
        yield case(f"normal_ {std:g}", "normal", f"N(0, {std:g})", init.normal_, std=std)
    yield case("normal_ mean 1", "normal", "N(1, 0.02)", init.normal_, mean=1.0, std=0.02)
    yield case("trunc_normal_", "truncated", "truncated normal, std 1", init.trunc_normal_)
    yield case("trunc_normal_ 0.02", "normal", "N(0, 0.02)", init.trunc_normal_, std=0.02)
    yield case(
        "trunc_normal_ 0.02 at 0.04",
        "truncated",
        "truncated normal, std 0.02",
        init.trunc_normal_,
        std=0.02,
        a=-0.04,
        b=0.04,
    )
    yield case("xavier_uniform_", "uniform", "Glorot uniform", init.xavier_uniform_)
    yield case("xavier_normal_", "normal", "Glorot normal", init.xavier_normal_)
    for word, xavier, kaiming in (
        ("uniform", init.xavier_uniform_, init.kaiming_uniform_),
        ("normal", init.xavier_normal_, init.kaiming_normal_),
    ):
        tanh = f"Glorot {word}, gain 5/3"
        yield case(f"xavier_{word}_ for tanh", word, tanh, xavier, gain=5 / 3)
        for mode in ("fan_in", "fan_out"):
            label = f"He {word}, {mode}"
            yield case(f"kaiming_{word}_ {mode}", word, label, kaiming, mode=mode)
            selu = f"{label}, SELU gain 3/4"
            yield case(
                f"kaiming_{word}_ {mode} selu", word, selu, kaiming, mode=mode, nonlinearity="selu"
            )
        linear = f"LeCun {word}"
        yield case(f"kaiming_{word}_ linear", word, linear, kaiming, nonlinearity="linear")
    default = "PyTorch's default (uniform, 1/sqrt(fan_in))"
    yield case("Linear's default", "uniform", default, init.kaiming_uniform_, a=math.sqrt(5))
    yield case("orthogonal_", "orthogonal", "orthogonal", init.orthogonal_)
    gain = "orthogonal, gain 0.01"
    yield case("orthogonal_ gain 0.01", "orthogonal", gain, init.orthogonal_, gain=0.01)
    for share in (0.1, 0.9):
        yield case(f"sparse_ {share:g}", "sparse", "sparse", init.sparse_, MATRICES, sparsity=share)


def named(case: Case, array: Array, dtype: str) -> tuple[bool, bool, float]:
    """Return whether the law is right, whether its first name is, and the seconds it took."""
    given = sample(array, array.ndim - 1 if case.last else 0, dtype)
    start = time.perf_counter()
    law = recognise(given)
    spent = time.perf_counter() - start
    if law is None or law.family != case.family:
        return False, False, spent
    if case.family == "sparse":
        right = law.label.startswith("sparse") and law.label.endswith("N(0, 0.01)")
        return right, right, spent
    return case.expected in (law.label, *law.others), law.label == case.expected, spent


def measure(case: Case, draws: int) -> tuple[float, float, str, float]:
    """Return the worst rate of right laws, of right first names, where, and the median cost."""
    rng = np.random.default_rng(sum(map(ord, case.name)))
    worst, first, place, costs = 1.0, 1.0, "", []
    for shape in case.shapes:
        results: dict[str, list[tuple[bool, bool, float]]] = {dtype: [] for dtype in STORED}
        for _ in range(draws):
            array = case.draw(shape, rng)
            for dtype, found in results.items():
                found.append(named(case, stored(array, dtype), dtype))
        for dtype, found in results.items():
            right = sum(ok for ok, _, _ in found) / draws
            if right < worst:
                worst, place = right, f"{'x'.join(map(str, shape))} {dtype}"
            first = min(first, sum(ok for _, ok, _ in found) / draws)
            costs += [spent for _, _, spent in found]
    return worst, first, place, median(costs)


def trained(long: bool) -> tuple[int, int]:
    """Train small networks; return how many of their matrices were named, and of how many."""
    try:
        import torch
    except ImportError:
        return 0, 0
    nn = torch.nn
    torch.set_num_threads(1)
    wrong = total = 0
    recipes: dict[str, Callable[[torch.Tensor], object]] = {
        "PyTorch's default": lambda w: nn.init.kaiming_uniform_(w, a=math.sqrt(5)),
        "He normal": nn.init.kaiming_normal_,
        "Glorot uniform": nn.init.xavier_uniform_,
        "Glorot normal": nn.init.xavier_normal_,
        "N(0, 0.02)": lambda w: nn.init.normal_(w, std=0.02),
        "trunc_normal_": lambda w: nn.init.trunc_normal_(w, std=0.1, a=-0.2, b=0.2),
        "orthogonal": nn.init.orthogonal_,
    }
    for recipe, fill in recipes.items():
        for seed, (width, steps, rate) in enumerate(
            ((64, 150, 3e-3), (64, 300, 1e-3), (128, 300, 1e-3), (256, 300, 1e-3))
            if long
            else ((64, 150, 3e-3), (128, 300, 1e-3))
        ):
            torch.manual_seed(seed)
            sizes = (64, width, width, width, 10)
            layers: list[torch.nn.Module] = []
            for inward, outward in pairwise(sizes):
                linear = nn.Linear(inward, outward)
                fill(linear.weight)
                layers += [linear, nn.ReLU()]
            network = nn.Sequential(*layers[:-1])
            # Ten classes of blurred 8x8 pictures, noise added: as learnable as small digits.
            pictures = nn.functional.interpolate(
                torch.randn(10, 1, 4, 4), size=(8, 8), mode="bilinear"
            ).reshape(10, 64)
            classes = torch.randint(10, (2048,))
            inputs = (pictures[classes] + 0.7 * torch.randn(2048, 64)).clamp(min=0)
            optimiser = torch.optim.Adam(network.parameters(), lr=rate)
            for step in range(steps):
                rows = torch.arange(step * 128, step * 128 + 128) % 2048
                loss = nn.functional.cross_entropy(network(inputs[rows]), classes[rows])
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
            for layer in layers[::2]:
                weight = layer.weight
                assert isinstance(weight, torch.Tensor)
                law = recognise(sample(weight.detach().double().numpy(), 0, "F32"))
                total += 1
                if law is not None and law.family != "empirical":
                    wrong += 1
                    shape = "x".join(map(str, weight.shape))
                    print(f"  named though trained: {recipe} {shape} steps {steps}: {law.label}")
    return wrong, total


def main() -> int:
    """Print the rates; return 1 where one is too low."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=100)
    parser.add_argument("--long", action="store_true", help="train more networks")
    parser.add_argument("--only", default="", help="part of an initialiser's name")
    options = parser.parse_args()
    failed = False
    for case in (*live(), *documented()):
        if options.only not in case.name:
            continue
        rate, first, place, cost = measure(case, options.draws)
        failed |= rate < LEAST
        mark = "BELOW" if rate < LEAST else "ok"
        print(
            f"{mark:5} {case.name:46} right {rate:7.1%}  first name {first:7.1%}"
            f"  {cost * 1e3:5.2f} ms  {place}",
            flush=True,
        )
    wrong, total = trained(options.long)
    if total:
        print(f"trained matrices named: {wrong} of {total}")
        failed |= wrong > MOST_TRAINED * total
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
