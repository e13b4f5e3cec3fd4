import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from numpy.typing import NDArray

from initaudit.checkpoint.distribution import cut_of, grain, spread, truncated_std
from initaudit.checkpoint.law import NONE_KNOWN, Sample, recognise
from initaudit.checkpoint.schemes import TRUNCATED_STD, Fans, fans
from initaudit.network import Law

Array = NDArray[np.float64]
Shape = tuple[int, ...]
Rng = np.random.Generator
Draw = Callable[[Rng, Shape], Array]
Change = Callable[[Rng, Array], Array]

STORED = {"F32": np.float32, "F16": np.float16, "BF16": ml_dtypes.bfloat16}


def sample(array: Array, out_axis: int = 0, dtype: str = "F32", *, held: bool = True) -> Sample:
    flat = array.ravel()
    places = np.linspace(0, flat.size - 1, min(flat.size, 65_536)).astype(np.intp)
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
        block=array if held else None,
    )


def law(array: NDArray[Any], out_axis: int = 0, dtype: str = "F32") -> Law:
    found = recognise(sample(array.astype(np.float64), out_axis, dtype))
    assert found is not None
    return found


def cut_normal(rng: Rng, shape: Shape, cut: float = 2.0) -> Array:
    values = rng.standard_normal(shape)
    while np.any(beyond := np.abs(values) > cut):
        values[beyond] = rng.standard_normal(int(beyond.sum()))
    return values


def orthonormal(rng: Rng, rows: int, columns: int) -> Array:
    q = np.linalg.qr(rng.standard_normal((max(rows, columns), min(rows, columns))))[0]
    return q if rows >= columns else q.T


@pytest.fixture
def rng() -> Rng:
    return np.random.default_rng(7)


# What no initialiser draws is not given a name.


def rows_of_their_own_scale(rng: Rng, w: Array) -> Array:
    changed: Array = w * np.exp(0.3 * rng.standard_normal((w.shape[0], 1)))
    return changed


def columns_of_their_own_scale(rng: Rng, w: Array) -> Array:
    changed: Array = w * np.exp(0.3 * rng.standard_normal((1, w.shape[1])))
    return changed


def rows_of_their_own_mean(rng: Rng, w: Array) -> Array:
    changed: Array = w + 0.4 * w.std() * rng.standard_normal((w.shape[0], 1))
    return changed


def low_rank_change(rng: Rng, w: Array) -> Array:
    outer = rng.standard_normal((w.shape[0], 3)) @ rng.standard_normal((3, w.shape[1]))
    changed: Array = w + 0.25 * w.std() * outer
    return changed


def unit_rows(_: Rng, w: Array) -> Array:
    changed: Array = w / np.linalg.norm(w, axis=1, keepdims=True)
    return changed


def heavy_tails(rng: Rng, w: Array) -> Array:
    changed: Array = w * np.sqrt(5 / rng.chisquare(5, w.shape))
    return changed


def one_outlier(_: Rng, w: Array) -> Array:
    moved = w.copy()
    moved[3, 5] = 12 * w.std()
    return moved


def half_the_rows_dead(_: Rng, w: Array) -> Array:
    changed: Array = w * (np.arange(w.shape[0]) % 2)[:, None]
    return changed


def small_ones_pruned(_: Rng, w: Array) -> Array:
    changed: Array = np.where(np.abs(w) < 0.5 * w.std(), 0.0, w)
    return changed


def signs(_: Rng, w: Array) -> Array:
    changed: Array = np.sign(w) * w.std()
    return changed


def four_bits(_: Rng, w: Array) -> Array:
    changed: Array = np.round(w / w.std() * 2) * w.std() / 2
    return changed


@pytest.mark.parametrize("shape", [(64, 64), (128, 64), (256, 512)])
@pytest.mark.parametrize(
    "change",
    [
        rows_of_their_own_scale,
        columns_of_their_own_scale,
        rows_of_their_own_mean,
        low_rank_change,
        unit_rows,
        heavy_tails,
        one_outlier,
        half_the_rows_dead,
        small_ones_pruned,
        signs,
        four_bits,
    ],
)
def test_a_changed_normal_matrix_has_no_known_law(
    change: Change,
    shape: Shape,
    rng: Rng,
) -> None:
    drawn = rng.normal(0, math.sqrt(2 / shape[1]), shape)
    assert law(drawn) != NONE_KNOWN
    assert law(change(rng, drawn)) == NONE_KNOWN


@pytest.mark.parametrize("shape", [(64, 64), (256, 512)])
def test_a_uniform_matrix_with_small_steps_added_is_not_uniform(shape: Shape, rng: Rng) -> None:
    bound = 1 / math.sqrt(shape[1])
    drawn = rng.uniform(-bound, bound, shape)
    assert law(drawn).family == "uniform"
    assert law(drawn + 0.2 * bound * rng.standard_normal(shape)).family not in (
        "uniform",
        "normal",
    )


def test_an_orthogonal_matrix_that_moved_is_not_orthogonal(rng: Rng) -> None:
    drawn = orthonormal(rng, 64, 64)
    assert law(drawn).family == "orthogonal"
    assert law(drawn + 1e-2 * rng.standard_normal((64, 64))) == NONE_KNOWN


def test_a_diagonal_with_one_element_changed_is_no_identity() -> None:
    changed = np.eye(64)
    changed[3, 3] = 1.5
    assert law(changed) == NONE_KNOWN


def test_a_permutation_is_no_identity(rng: Rng) -> None:
    assert law(np.eye(64)[rng.permutation(64)]).family != "identity"


@pytest.mark.parametrize("mean", [0.013, 0.0371])
def test_a_normal_matrix_about_a_mean_nobody_chose_has_no_known_law(mean: float, rng: Rng) -> None:
    assert law(rng.normal(mean, 0.113, (256, 256))) == NONE_KNOWN


# Too little to say.


@pytest.mark.parametrize("shape", [(), (1,), (1, 1)])
def test_one_element_says_nothing(shape: Shape) -> None:
    assert recognise(sample(np.zeros(shape))) is None


@pytest.mark.parametrize("dtype", ["I64", "U8", "BOOL", "C64"])
def test_a_dtype_without_weights_says_nothing(dtype: str) -> None:
    assert recognise(sample(np.zeros((8, 8)), dtype=dtype)) is None


@pytest.mark.parametrize("count", [5, 15])
def test_a_short_vector_of_different_numbers_says_nothing(count: int, rng: Rng) -> None:
    assert recognise(sample(rng.uniform(-1, 1, count))) is None


def test_a_short_normal_vector_says_nothing(rng: Rng) -> None:
    assert recognise(sample(rng.normal(0, 0.02, 128))) is None


def test_a_small_matrix_of_any_scale_says_nothing(rng: Rng) -> None:
    assert recognise(sample(rng.normal(0, 0.33, (10, 64)))) is None


# Exact patterns.


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0.0, Law("zeros", "zeros")),
        (1.0, Law("constant", "ones")),
        (0.5, Law("constant", "constant 0.5")),
        (-0.01, Law("constant", "constant -0.01")),
    ],
)
@pytest.mark.parametrize("shape", [(2,), (64,), (64, 64), (64, 32, 3, 3)])
def test_equal_elements_are_constant(value: float, expected: object, shape: Shape) -> None:
    assert recognise(sample(np.full(shape, value))) == expected


@pytest.mark.parametrize("shape", [(64, 64), (128, 64), (10, 64)])
@pytest.mark.parametrize(("gain", "label"), [(1.0, "identity"), (0.5, "identity, gain 0.5")])
@pytest.mark.parametrize("held", [True, False])
def test_identity(shape: Shape, gain: float, label: str, held: bool) -> None:
    eye = gain * np.eye(shape[0], shape[1])
    assert recognise(sample(eye, held=held)) == Law("identity", label)


@pytest.mark.parametrize("groups", [1, 2])
def test_dirac_kernels_pass_each_groups_channels_through(groups: int) -> None:
    kernel = np.zeros((64, 16, 3, 3))
    for group in range(groups):
        for channel in range(16):
            kernel[group * 64 // groups + channel, channel, 1, 1] = 1
    assert law(kernel) == Law("identity", "Dirac")
    assert law(kernel.transpose(2, 3, 1, 0), out_axis=3) == Law("identity", "Dirac")


@pytest.mark.parametrize("shape", [(64, 64), (128, 64), (10, 64), (64, 1000)])
@pytest.mark.parametrize(
    ("gain", "label"),
    [(1.0, "orthogonal"), (math.sqrt(2), "orthogonal, gain 1.41"), (0.01, "orthogonal, gain 0.01")],
)
@pytest.mark.parametrize("dtype", STORED)
def test_orthogonal(shape: Shape, gain: float, label: str, dtype: str, rng: Rng) -> None:
    matrix = (gain * orthonormal(rng, *shape)).astype(STORED[dtype])
    assert law(matrix, dtype=dtype) == Law("orthogonal", label)


def test_orthogonal_kernels_of_both_layouts(rng: Rng) -> None:
    torch = orthonormal(rng, 64, 288).reshape(64, 32, 3, 3)
    keras = orthonormal(rng, 288, 64).reshape(3, 3, 32, 64)
    assert law(torch).label == "orthogonal"
    assert law(keras, out_axis=3).label == "orthogonal"


def test_delta_orthogonal_kernels(rng: Rng) -> None:
    kernel = np.zeros((3, 3, 32, 64))
    kernel[1, 1] = orthonormal(rng, 64, 64)[:32]
    assert law(kernel, out_axis=3) == Law("orthogonal", "delta-orthogonal")


def test_orthogonal_gates_stacked(rng: Rng) -> None:
    gates = np.concatenate([orthonormal(rng, 32, 32) for _ in range(4)])
    assert law(gates) == Law("orthogonal", "orthogonal in each gate")


def test_an_orthogonal_matrix_too_large_to_hold_is_told_by_its_power(
    rng: Rng,
) -> None:
    matrix = orthonormal(rng, 512, 512)
    found = recognise(sample(matrix, held=False))
    assert found is not None
    assert found.label == "orthogonal"
    assert "LeCun normal" in found.others


@pytest.mark.parametrize("share", [0.1, 0.9])
@pytest.mark.parametrize("dtype", STORED)
def test_sparse(share: float, dtype: str, rng: Rng) -> None:
    matrix = rng.normal(0, 0.01, (256, 256))
    for column in range(256):
        matrix[rng.permutation(256)[: math.ceil(share * 256)], column] = 0
    found = law(matrix.astype(STORED[dtype]), dtype=dtype)
    assert found == Law("sparse", f"sparse, {math.ceil(share * 256) / 256:.0%} zeros, N(0, 0.01)")


@pytest.mark.parametrize("side", ["real", "imaginary"])
def test_fourier_kernels_under_a_window(side: str) -> None:
    frame, frequencies = 128, 65
    angles = -np.outer(np.arange(frame), np.arange(frequencies)) * math.pi / (frequencies - 1)
    waves = np.cos(angles) if side == "real" else np.sin(angles)
    kernel = (waves * np.hanning(frame)[:, None])[:, None, :]
    assert law(kernel, out_axis=2) == Law("identity", f"STFT kernel, {side} part")


# Drawn from a law.


@pytest.mark.parametrize(
    ("label", "factor", "fan"),
    [
        ("Glorot {}", 1.0, 384 / 2),
        ("He {}, fan_in", 2.0, 128),
        ("He {}, fan_out", 2.0, 256),
        ("LeCun {}", 1.0, 128),
        ("Glorot {}, gain 5/3", 25 / 9, 384 / 2),
        ("He {}, fan_in, SELU gain 3/4", 9 / 16, 128),
    ],
)
@pytest.mark.parametrize("distribution", ["uniform", "normal", "truncated"])
@pytest.mark.parametrize("dtype", STORED)
def test_a_scheme_is_named_by_its_scale(
    label: str, factor: float, fan: float, distribution: str, dtype: str, rng: Rng
) -> None:
    std = math.sqrt(factor / fan)
    shape = (256, 128)
    if distribution == "uniform":
        drawn = rng.uniform(-math.sqrt(3) * std, math.sqrt(3) * std, shape)
    elif distribution == "normal":
        drawn = rng.normal(0, std, shape)
    else:
        drawn = std / TRUNCATED_STD * cut_normal(rng, shape)
    found = law(drawn.astype(STORED[dtype]), dtype=dtype)
    word = "uniform" if distribution == "uniform" else "normal"
    expected = label.format(word) + (" (truncated)" if distribution == "truncated" else "")
    assert found.family == distribution
    assert expected in (found.label, *found.others)


def test_the_default_of_torch_is_named_first(rng: Rng) -> None:
    found = law(rng.uniform(-1 / 16, 1 / 16, (100, 256)))
    assert found.label == "PyTorch's default (uniform, 1/sqrt(fan_in))"


def test_the_axis_of_outputs_decides_which_fan_is_meant(rng: Rng) -> None:
    drawn = rng.normal(0, math.sqrt(2 / 64), (300, 64))
    assert law(drawn, out_axis=0).label == "He normal, fan_in"
    assert law(drawn, out_axis=1).label == "He normal, fan_out"


@pytest.mark.parametrize("dtype", STORED)
@pytest.mark.parametrize("shape", [(64, 64), (64, 32, 3, 3), (256, 300)])
@pytest.mark.parametrize(
    ("draw", "expected"),
    [
        (lambda rng, shape: rng.normal(0, 1, shape), "N(0, 1)"),
        (lambda rng, shape: rng.normal(0, 0.02, shape), "N(0, 0.02)"),
        (lambda rng, shape: rng.normal(0, 0.3, shape), "N(0, 0.3)"),
        (lambda rng, shape: rng.normal(1, 0.02, shape), "N(1, 0.02)"),
        (lambda rng, shape: rng.uniform(0, 1, shape), "U[0, 1]"),
        (lambda rng, shape: rng.uniform(-0.05, 0.05, shape), "U[-0.05, 0.05]"),
        (lambda rng, shape: rng.uniform(0, 0.01, shape), "U[0, 0.01]"),
        (lambda rng, shape: cut_normal(rng, shape), "truncated normal, std 1"),
        (lambda rng, shape: 0.02 * cut_normal(rng, shape), "truncated normal, std 0.02"),
        (
            lambda rng, shape: 0.02 * cut_normal(rng, shape, 1.0),
            "truncated normal, std 0.02, cut at 1 std",
        ),
    ],
)
def test_a_law_by_its_numbers(
    draw: Draw,
    expected: object,
    shape: Shape,
    dtype: str,
    rng: Rng,
) -> None:
    assert law(draw(rng, shape).astype(STORED[dtype]), dtype=dtype).label == expected


def test_a_normal_matrix_keeps_its_name_in_eight_bits(rng: Rng) -> None:
    drawn = rng.normal(0, 0.3, (128, 128)).astype(ml_dtypes.float8_e4m3fn)
    assert law(drawn, dtype="F8_E4M3").family == "normal"


def test_a_wide_file_of_narrow_numbers_is_read_as_narrow(rng: Rng) -> None:
    narrow = rng.uniform(0, 1, (512, 512)).astype(ml_dtypes.bfloat16)
    assert law(narrow, dtype="F32").label == "U[0, 1]"


def test_padding_rows_of_an_embedding_do_not_hide_its_law(rng: Rng) -> None:
    table = rng.normal(0, 1, (200, 64))
    table[0] = 0
    assert law(table).label == "N(0, 1)"


@pytest.mark.parametrize("fan", [64, 256, 1000])
def test_a_bias_drawn_uniformly_shows_its_family(fan: float, rng: Rng) -> None:
    bound = 1 / math.sqrt(fan)
    found = law(rng.uniform(-bound, bound, 128))
    assert found.family == "uniform"
    assert "PyTorch's default (uniform, 1/sqrt(fan_in))" in (found.label, *found.others)


def test_a_matrix_too_large_to_hold_is_named_by_its_elements(rng: Rng) -> None:
    drawn = rng.normal(0, 0.02, (1200, 1000))
    found = recognise(sample(drawn, held=False))
    assert found is not None
    assert found.label == "N(0, 0.02)"


def test_the_same_sample_gives_the_same_law(rng: Rng) -> None:
    given = sample(rng.normal(0, 0.1, (64, 64)).astype(np.float16).astype(float), dtype="F16")
    assert recognise(given) == recognise(given)


@pytest.mark.parametrize("family", ["normal", "uniform", "truncated"])
def test_of_two_hundred_fresh_draws_at_most_one_goes_unnamed(family: str) -> None:
    rng = np.random.default_rng(11)
    draws = {
        "normal": lambda: rng.normal(0, 0.125, (64, 64)),
        "uniform": lambda: rng.uniform(-0.125, 0.125, (64, 64)),
        "truncated": lambda: 0.02 * cut_normal(rng, (64, 64)),
    }
    named = sum(law(draws[family]()).family == family for _ in range(200))
    assert named >= 199


# The parts.


def test_fans_of_both_layouts() -> None:
    assert fans((64, 32), 0) == Fans(32, 64)
    assert fans((32, 64), 1) == Fans(32, 64)
    assert fans((64, 32, 3, 5), 0) == Fans(32 * 15, 64 * 15)
    assert fans((3, 5, 32, 64), -1) == Fans(32 * 15, 64 * 15)
    assert fans((64,), 0) is None
    assert fans((0, 4), 0) is None


def test_the_std_of_a_cut_normal_law() -> None:
    assert truncated_std(2.0) == pytest.approx(TRUNCATED_STD, abs=1e-9)
    assert truncated_std(9.0) == pytest.approx(1.0, abs=1e-9)
    assert cut_of(2 / TRUNCATED_STD) == pytest.approx(2.0, abs=1e-6)


@pytest.mark.parametrize(("dtype", "half_step"), [("F16", 2.0**-11), ("BF16", 2.0**-8)])
def test_the_grain_of_stored_numbers_is_seen_in_a_wider_file(
    dtype: str, half_step: float, rng: Rng
) -> None:
    values = rng.standard_normal(100).astype(STORED[dtype]).astype(np.float64)
    assert grain(values, "F32") == (dtype, half_step)
    assert grain(rng.standard_normal(100), "F32")[0] == "F32"


@pytest.mark.parametrize("dtype", ["F16", "BF16"])
def test_spread_values_round_back_to_where_they_were(dtype: str, rng: Rng) -> None:
    values = rng.standard_normal(5000).astype(STORED[dtype]).astype(np.float64)
    moved = spread(values, dtype)
    assert np.array_equal(moved.astype(STORED[dtype]).astype(np.float64), values)
    assert np.unique(moved).size > 0.99 * moved.size


# Against torch.


@pytest.mark.oracle
def test_torch_draws_are_named() -> None:
    torch = pytest.importorskip("torch")
    torch.manual_seed(3)
    linear = torch.nn.Linear(200, 100)
    conv = torch.nn.Conv2d(32, 64, 3)
    lstm = torch.nn.LSTM(48, 64)
    embedding = torch.nn.Embedding(500, 32, padding_idx=0)
    default = "PyTorch's default (uniform, 1/sqrt(fan_in))"
    assert law(linear.weight.detach().numpy()).label == default
    assert law(conv.weight.detach().numpy()).label == default
    recurrent = law(lstm.weight_ih_l0.detach().numpy())
    assert "PyTorch's LSTM default (uniform, 1/sqrt(hidden))" in (
        recurrent.label,
        *recurrent.others,
    )
    assert law(embedding.weight.detach().numpy()).label == "N(0, 1)"


@pytest.mark.oracle
@pytest.mark.parametrize("scheme", ["xavier_normal_", "xavier_uniform_", "trunc_normal_"])
def test_matrices_that_torch_trained_have_no_known_law(scheme: str) -> None:
    torch = pytest.importorskip("torch")
    threads = torch.get_num_threads()
    # Threads that wait for each other cost more than matrices this small.
    torch.set_num_threads(1)
    torch.manual_seed(5)
    sizes = (64, 64, 64, 10)
    layers = [torch.nn.Linear(a, b) for a, b in pairwise(sizes)]
    options = {"std": 0.1, "a": -0.2, "b": 0.2} if scheme == "trunc_normal_" else {}
    for layer in layers:
        getattr(torch.nn.init, scheme)(layer.weight, **options)
    network = torch.nn.Sequential(layers[0], torch.nn.ReLU(), layers[1], torch.nn.ReLU(), layers[2])
    classes = torch.randint(10, (256,))
    inputs = torch.randn(10, 64)[classes] + torch.randn(256, 64)
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-2)
    for _ in range(150):
        optimiser.zero_grad()
        torch.nn.functional.cross_entropy(network(inputs), classes).backward()
        optimiser.step()
    torch.set_num_threads(threads)
    for layer in layers[:2]:
        assert law(layer.weight.detach().numpy()) == NONE_KNOWN
