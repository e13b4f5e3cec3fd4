"""Models of text written with torch alone: encoders, small GPTs, recurrent stacks."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from tests.architectures.example import VOCABULARY, tokens
from tests.architectures.hand import example

WIDTH, HEADS, DEPTH, POSITIONS = 32, 4, 12, 64


def attend(q: Any, k: Any, v: Any, heads: int, *, causal: bool) -> Any:
    """Attention of (N, T, D) written out with explicit scores."""
    q, k, v = (x.unflatten(-1, (heads, -1)).transpose(1, 2) for x in (q, k, v))
    scores = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])
    if causal:
        later = torch.ones(scores.shape[-2:], dtype=torch.bool).triu(1)
        scores = scores.masked_fill(later, -torch.inf)
    return (scores.softmax(-1) @ v).transpose(1, 2).flatten(2)


class TorchEncoder(nn.Module):  # type: ignore[misc]
    """Tokens, learned positions, ``nn.TransformerEncoder`` and a head on the mean."""

    def __init__(self, *, norm_first: bool) -> None:
        super().__init__()
        self.embedding = nn.Embedding(VOCABULARY, WIDTH)
        layer = nn.TransformerEncoderLayer(
            WIDTH, HEADS, 4 * WIDTH, dropout=0.0, activation="gelu" if norm_first else "relu",
            batch_first=True, norm_first=norm_first,
        )  # fmt: skip
        norm = nn.LayerNorm(WIDTH) if norm_first else None
        self.encoder = nn.TransformerEncoder(layer, 6, norm=norm, enable_nested_tensor=False)
        self.head = nn.Linear(WIDTH, 10)

    def forward(self, idx: Any) -> Any:
        return self.head(self.encoder(self.embedding(idx)))


class BiaslessNorm(nn.Module):  # type: ignore[misc]
    """nanoGPT's layer norm, whose bias may be left out."""

    def __init__(self, width: int, *, bias: bool) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.bias = nn.Parameter(torch.zeros(width)) if bias else None

    def forward(self, x: Any) -> Any:
        return functional.layer_norm(x, self.weight.shape, self.weight, self.bias, 1e-5)


class FusedAttention(nn.Module):  # type: ignore[misc]
    def __init__(self, *, bias: bool) -> None:
        super().__init__()
        self.c_attn = nn.Linear(WIDTH, 3 * WIDTH, bias=bias)
        self.c_proj = nn.Linear(WIDTH, WIDTH, bias=bias)
        self.attn_dropout, self.resid_dropout = nn.Dropout(0.0), nn.Dropout(0.0)

    def forward(self, x: Any) -> Any:
        q, k, v = self.c_attn(x).split(WIDTH, dim=2)
        return self.resid_dropout(self.c_proj(attend(q, k, v, HEADS, causal=True)))


class NanoMLP(nn.Module):  # type: ignore[misc]
    def __init__(self, *, bias: bool) -> None:
        super().__init__()
        self.c_fc = nn.Linear(WIDTH, 4 * WIDTH, bias=bias)
        self.gelu = nn.GELU()
        self.c_proj = nn.Linear(4 * WIDTH, WIDTH, bias=bias)
        self.dropout = nn.Dropout(0.0)

    def forward(self, x: Any) -> Any:
        return self.dropout(self.c_proj(self.gelu(self.c_fc(x))))


class NanoBlock(nn.Module):  # type: ignore[misc]
    def __init__(self, *, bias: bool) -> None:
        super().__init__()
        self.ln_1 = BiaslessNorm(WIDTH, bias=bias)
        self.attn = FusedAttention(bias=bias)
        self.ln_2 = BiaslessNorm(WIDTH, bias=bias)
        self.mlp = NanoMLP(bias=bias)

    def forward(self, x: Any) -> Any:
        x = x + self.attn(self.ln_1(x))
        return x + self.mlp(self.ln_2(x))


def _gpt_init(model: nn.Module) -> None:
    """Draw N(0, 0.02), the output projections divided by the root of twice the depth."""
    for module in model.modules():
        if isinstance(module, nn.Linear | nn.Embedding):
            nn.init.normal_(module.weight, std=0.02)
        if isinstance(module, nn.Linear) and module.bias is not None:
            nn.init.zeros_(module.bias)
    for name, parameter in model.named_parameters():
        if name.endswith("c_proj.weight"):
            nn.init.normal_(parameter, std=0.02 / math.sqrt(2 * DEPTH))


class NanoGPT(nn.Module):  # type: ignore[misc]
    """karpathy/nanoGPT: ``transformer.wte``, ``transformer.h.{i}``, tied ``lm_head``."""

    def __init__(self, *, bias: bool) -> None:
        super().__init__()
        self.transformer = nn.ModuleDict(
            {
                "wte": nn.Embedding(VOCABULARY, WIDTH),
                "wpe": nn.Embedding(POSITIONS, WIDTH),
                "drop": nn.Dropout(0.0),
                "h": nn.ModuleList([NanoBlock(bias=bias) for _ in range(DEPTH)]),
                "ln_f": BiaslessNorm(WIDTH, bias=bias),
            }
        )
        self.lm_head = nn.Linear(WIDTH, VOCABULARY, bias=False)
        self.transformer["wte"].weight = self.lm_head.weight
        _gpt_init(self)

    def forward(self, idx: Any) -> Any:
        parts = self.transformer
        x = parts["drop"](parts["wte"](idx) + parts["wpe"](torch.arange(idx.shape[1])))
        for block in parts["h"]:
            x = block(x)
        return self.lm_head(parts["ln_f"](x))


class NewGELU(nn.Module):  # type: ignore[misc]
    def forward(self, x: Any) -> Any:
        return functional.gelu(x, approximate="tanh")


class MinBlock(nn.Module):  # type: ignore[misc]
    def __init__(self) -> None:
        super().__init__()
        self.ln_1 = nn.LayerNorm(WIDTH)
        self.attn = FusedAttention(bias=True)
        mask = torch.ones(POSITIONS, POSITIONS).tril().view(1, 1, POSITIONS, POSITIONS)
        self.attn.register_buffer("bias", mask)
        self.ln_2 = nn.LayerNorm(WIDTH)
        self.mlp = nn.ModuleDict(
            {
                "c_fc": nn.Linear(WIDTH, 4 * WIDTH),
                "c_proj": nn.Linear(4 * WIDTH, WIDTH),
                "act": NewGELU(),
                "dropout": nn.Dropout(0.0),
            }
        )

    def forward(self, x: Any) -> Any:
        x = x + self.attn(self.ln_1(x))
        mlp = self.mlp
        return x + mlp["dropout"](mlp["c_proj"](mlp["act"](mlp["c_fc"](self.ln_2(x)))))


class MinGPT(nn.Module):  # type: ignore[misc]
    """karpathy/minGPT: nanoGPT's names, biases, GELU by tanh, untied head, masks stored."""

    def __init__(self) -> None:
        super().__init__()
        self.transformer = nn.ModuleDict(
            {
                "wte": nn.Embedding(VOCABULARY, WIDTH),
                "wpe": nn.Embedding(POSITIONS, WIDTH),
                "drop": nn.Dropout(0.0),
                "h": nn.ModuleList([MinBlock() for _ in range(DEPTH)]),
                "ln_f": nn.LayerNorm(WIDTH),
            }
        )
        self.lm_head = nn.Linear(WIDTH, VOCABULARY, bias=False)
        _gpt_init(self)

    def forward(self, idx: Any) -> Any:
        parts = self.transformer
        positions = torch.arange(idx.shape[1]).unsqueeze(0)
        x = parts["drop"](parts["wte"](idx) + parts["wpe"](positions))
        for block in parts["h"]:
            x = block(x)
        return self.lm_head(parts["ln_f"](x))


class SplitAttention(nn.Module):  # type: ignore[misc]
    def __init__(self) -> None:
        super().__init__()
        self.key, self.query, self.value = (nn.Linear(WIDTH, WIDTH) for _ in range(3))
        self.attn_drop, self.resid_drop = nn.Dropout(0.0), nn.Dropout(0.0)
        self.proj = nn.Linear(WIDTH, WIDTH)
        mask = torch.ones(POSITIONS, POSITIONS).tril().view(1, 1, POSITIONS, POSITIONS)
        self.register_buffer("mask", mask)

    def forward(self, x: Any) -> Any:
        k, q, v = self.key(x), self.query(x), self.value(x)
        return self.resid_drop(self.proj(attend(q, k, v, HEADS, causal=True)))


class OldBlock(nn.Module):  # type: ignore[misc]
    def __init__(self) -> None:
        super().__init__()
        self.ln1, self.ln2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.attn = SplitAttention()
        self.mlp = nn.Sequential(
            nn.Linear(WIDTH, 4 * WIDTH), nn.GELU(), nn.Linear(4 * WIDTH, WIDTH), nn.Dropout(0.0)
        )

    def forward(self, x: Any) -> Any:
        x = x + self.attn(self.ln1(x))
        return x + self.mlp(self.ln2(x))


class OldMinGPT(nn.Module):  # type: ignore[misc]
    """The first minGPT: ``tok_emb``, ``pos_emb`` (zeros), ``blocks.{i}.attn.key``, ``head``."""

    def __init__(self) -> None:
        super().__init__()
        self.tok_emb = nn.Embedding(VOCABULARY, WIDTH)
        self.pos_emb = nn.Parameter(torch.zeros(1, POSITIONS, WIDTH))
        self.drop = nn.Dropout(0.0)
        self.blocks = nn.Sequential(*(OldBlock() for _ in range(DEPTH)))
        self.ln_f = nn.LayerNorm(WIDTH)
        self.head = nn.Linear(WIDTH, VOCABULARY, bias=False)
        _gpt_init(self)

    def forward(self, idx: Any) -> Any:
        x = self.drop(self.tok_emb(idx) + self.pos_emb[:, : idx.shape[1]])
        return self.head(self.ln_f(self.blocks(x)))


class Recurrent(nn.Module):  # type: ignore[misc]
    """Embedding, a recurrent stack, and a linear layer at every step."""

    def __init__(self, kind: str, *, bidirectional: bool = False) -> None:
        super().__init__()
        self.embedding = nn.Embedding(VOCABULARY, 24)
        stack = getattr(nn, kind)(24, WIDTH, 2, batch_first=True, bidirectional=bidirectional)
        self.name = kind.lower()
        setattr(self, self.name, stack)
        self.fc = nn.Linear(WIDTH * (1 + bidirectional), 10)

    def forward(self, idx: Any) -> Any:
        return self.fc(getattr(self, self.name)(self.embedding(idx))[0])


_TOKENS = tokens("idx")

EXAMPLES = (
    example("torch_pre_norm", "torch", lambda: TorchEncoder(norm_first=True), _TOKENS),
    example("torch_post_norm", "torch", lambda: TorchEncoder(norm_first=False), _TOKENS),
    example("nanogpt", "nanoGPT", lambda: NanoGPT(bias=True), _TOKENS),
    example("nanogpt_biasless", "nanoGPT", lambda: NanoGPT(bias=False), _TOKENS),
    example("mingpt", "minGPT", MinGPT, _TOKENS),
    example("mingpt_old", "minGPT", OldMinGPT, _TOKENS),
    example("lstm", "torch", lambda: Recurrent("LSTM"), _TOKENS),
    example("lstm_bidirectional", "torch", lambda: Recurrent("LSTM", bidirectional=True), _TOKENS),
    example("gru", "torch", lambda: Recurrent("GRU"), _TOKENS),
)
