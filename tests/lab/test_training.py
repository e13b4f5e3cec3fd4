"""Training of the replica: against PyTorch step by step, and where it ends."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from initaudit.lab.nets import Arrays, Plain, opened
from initaudit.lab.settings import OPTIMISERS, OptimiserName
from initaudit.lab.tasks import Task, classify, moons, one_hot, salaries
from initaudit.lab.train import Now, input_of, optimiser, train
from initaudit.lab.watch import difference, similarity

STEPS = 60


def torch_losses(
    arrays: Arrays, activation: str, task: Task, name: OptimiserName, rate: float
) -> tuple[list[float], dict[str, Any]]:
    """Train the same network from the same weights with PyTorch, in double precision."""
    torch = pytest.importorskip("torch")
    params = {
        key: torch.tensor(a.astype(np.float64), requires_grad=True) for key, a in arrays.items()
    }
    x = torch.tensor(next(iter(task.inputs.values())))
    y = torch.tensor(task.targets)
    functions = {"tanh": torch.tanh, "relu": torch.relu, "sigmoid": torch.sigmoid}
    layers = len(arrays) // 2
    made = {
        "sgd": lambda p: torch.optim.SGD(p, rate),
        "momentum": lambda p: torch.optim.SGD(p, rate, momentum=0.9),
        "adam": lambda p: torch.optim.Adam(p, rate),
    }[name](list(params.values()))
    losses = []
    for step in range(STEPS + 1):
        h = x
        for i in range(1, layers + 1):
            h = torch.nn.functional.linear(h, params[f"fc{i}.weight"], params[f"fc{i}.bias"])
            if i < layers:
                h = functions[activation](h)
        if task.classes:
            loss = torch.nn.functional.cross_entropy(h, y)
        else:
            loss = ((h - y) ** 2).sum(1).mean()
        losses.append(float(loss))
        if step < STEPS:
            made.zero_grad()
            loss.backward()
            made.step()
    return losses, {key: p.detach().numpy() for key, p in params.items()}


@pytest.mark.oracle
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", OPTIMISERS)
@pytest.mark.parametrize(
    ("widths", "activation", "start"),
    [
        ((2, 2, 1), "sigmoid", "0"),
        ((2, 16, 2), "tanh", "0.5"),
        ((20, 16, 16, 16, 10), "relu", "he"),
        ((20, 16, 16, 16, 10), "tanh", "uniform_(0, 1)"),
    ],
)
def test_training_is_that_of_pytorch_step_by_step(
    widths: tuple[int, ...], activation: str, start: str, name: OptimiserName
) -> None:
    arrays = Plain(widths, activation, (start,)).arrays()
    network = opened(arrays, activation)
    if widths[-1] == 1:
        x, y = salaries(50, 0)
        task = Task("salary", {input_of(network): x}, y, classes=False)
    elif widths[0] == 2:
        points = moons(64, 0)
        task = Task("moons", {input_of(network): points.x}, one_hot(points.labels, 2), classes=True)
    else:
        task = classify(network, 64, widths[-1], 0)
    rate = 0.01 if name == "adam" else 0.05
    course = train(network, arrays, task, optimiser(name, rate), STEPS)
    losses, weights = torch_losses(arrays, activation, task, name, rate)
    assert np.abs(np.array(course.losses) - losses).max() < 1e-6
    for key, theirs in weights.items():
        assert np.abs(course.weights[key] - theirs).max() < 1e-6


def test_a_training_that_overflows_ends_with_a_reason() -> None:
    arrays = Plain((4, 8, 8, 3), "relu", ("he",)).arrays()
    network = opened(arrays, "relu")
    course = train(network, arrays, classify(network, 32, 3, 0), optimiser("sgd", 1e200), 50)
    assert course.ended is not None
    assert course.ended.startswith("after ")
    assert len(course.losses) < 51


def test_a_training_ends_at_the_loss_that_was_asked_for_and_leaves_its_start_alone() -> None:
    arrays = Plain((4, 8, 3), "tanh", ("xavier",)).arrays()
    before = {name: a.copy() for name, a in arrays.items()}
    network = opened(arrays, "tanh")
    seen: list[int] = []

    def watch(now: Now) -> None:
        seen.append(now.step)

    task = classify(network, 64, 3, 0)
    course = train(network, arrays, task, optimiser("adam", 0.01), 500, watch, until=0.5)
    assert course.losses[-1] <= 0.5 < course.losses[-2]
    assert seen == list(range(len(course.losses)))
    assert course.steps_to(0.5) == len(course.losses) - 1
    assert course.steps_to(0.0) is None
    assert all((arrays[name] == a).all() for name, a in before.items())


def test_units_are_alike_where_they_say_the_same() -> None:
    random = np.random.default_rng(0)
    x = random.standard_normal((400, 1))
    same = np.concatenate([x, 2.0 * x, -x], 1)
    assert similarity(same) == pytest.approx(1.0)
    assert similarity(random.standard_normal((400, 6))) < 0.1
    assert similarity(np.concatenate([x, np.ones((400, 1))], 1)) == pytest.approx(1.0)
    assert difference(np.repeat(x, 3, 1)) == 0.0
    assert difference(same) > 1.0
