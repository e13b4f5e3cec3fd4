"""How networks of sines learn from torch's default, from Xavier's and from SIREN's weights.

Prints, for each start and frequency: the share of the variance that is not explained at the points
trained on and at held-out ones, and what a small step of the input is multiplied by at the start.
Needs torch; takes a few minutes.
"""

from __future__ import annotations

import math
from typing import Any

import torch

WIDTH, DEPTH, STEPS = 256, 4, 600
CASES = (
    ("default", 5.0), ("default", 10.0), ("siren", 10.0),
    ("default", 30.0), ("xavier", 30.0), ("siren", 30.0),
)  # fmt: skip


def target(x: Any) -> Any:
    a, b = x[:, :1], x[:, 1:]
    return torch.sin(12 * a) * torch.cos(10 * b) + 0.3 * torch.sin(20 * a + 10 * b)


def layers(start: str, omega: float) -> list[Any]:
    made = [torch.nn.Linear(2 if i == 0 else WIDTH, WIDTH) for i in range(DEPTH)]
    for i, layer in enumerate(made):
        inputs = layer.in_features
        if start == "siren":
            bound = 1 / inputs if i == 0 else math.sqrt(6 / inputs) / omega
            torch.nn.init.uniform_(layer.weight, -bound, bound)
        elif start == "xavier":
            torch.nn.init.xavier_uniform_(layer.weight)
    return [*made, torch.nn.Linear(WIDTH, 1)]


def hidden(net: list[Any], omega: float, x: Any) -> Any:
    for layer in net[:-1]:
        x = torch.sin(omega * layer(x))
    return x


def measured(start: str, omega: float, seed: int) -> tuple[float, float, float]:
    torch.manual_seed(seed)
    seen, held_out = torch.rand(1024, 2) * 2 - 1, torch.rand(1024, 2) * 2 - 1
    net = layers(start, omega)
    with torch.no_grad():
        step = torch.nn.functional.normalize(torch.randn(256, 2)) * 1e-4
        moved = hidden(net, omega, held_out[:256] + step) - hidden(net, omega, held_out[:256])
        stretch = float((moved.norm(dim=1) / 1e-4).median())
    optimizer = torch.optim.Adam([p for layer in net for p in layer.parameters()], lr=1e-4)

    def left(x: Any) -> Any:
        wanted = target(x)
        return ((net[-1](hidden(net, omega, x)) - wanted) ** 2).mean() / wanted.var()

    for _ in range(STEPS):
        optimizer.zero_grad()
        left(seen).backward()
        optimizer.step()
    with torch.no_grad():
        return float(left(seen)), float(left(held_out)), stretch


def main() -> None:
    torch.set_num_threads(1)
    print("start    omega  seed  trained  held out  stretch")
    for start, omega in CASES:
        for seed in range(3):
            seen, held_out, stretch = measured(start, omega, seed)
            print(f"{start:<8} {omega:5g} {seed:5} {seen:8.4f} {held_out:9.4f} {stretch:8.0f}")


if __name__ == "__main__":
    main()
