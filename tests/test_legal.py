"""What looks like a fault and is none, and what is plainly sound, gets no warning."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pytest

import initaudit
from initaudit.rulebook import Severity
from tests.nets import (
    Array,
    Arrays,
    batch_norm,
    cnn,
    fans,
    he,
    he_uniform,
    layer_norm,
    lecun,
    mlp,
    normal,
    orthogonal,
    torch_default,
    xavier,
)

SEEDS = range(2)
SLOW = {"fixed depthwise blurs", "torch's default, 4 convolutions", "batch norms",
        "a pixel shuffle at the end", "bilinear upsampling"}  # fmt: skip
Make = Callable[[np.random.Generator], Arrays]


def f32(array: Array) -> Array:
    return np.asarray(array, np.float32)


def zeros(*shape: int) -> Array:
    return np.zeros(shape, np.float32)


def linear(rng: np.random.Generator, name: str, out: int, into: int, std: float = 0.02) -> Arrays:
    return {f"{name}.weight": f32(rng.normal(0, std, (out, into))), f"{name}.bias": zeros(out)}


def conv(rng: np.random.Generator, name: str, *shape: int) -> Arrays:
    return {f"{name}.weight": f32(he(rng, shape))}


def gpt2(rng: np.random.Generator, *, tied: bool = True, padded: int = 0) -> Arrays:
    width, layers, words = 48, 3, 96
    table = f32(rng.normal(0, 0.02, (words, width)))
    if padded:
        table[-padded:] = table[0] if padded > 8 else 0
    arrays: Arrays = {
        "transformer.wte.weight": table,
        "transformer.wpe.weight": f32(rng.normal(0, 0.01, (32, width))),
    }
    for i in range(layers):
        at = f"transformer.h.{i}"
        for name, into, out, std in (
            ("attn.c_attn", width, 3 * width, 0.02),
            ("attn.c_proj", width, width, 0.02 / np.sqrt(2 * layers)),
            ("mlp.c_fc", width, 4 * width, 0.02),
            ("mlp.c_proj", 4 * width, width, 0.02 / np.sqrt(2 * layers)),
        ):
            arrays[f"{at}.{name}.weight"] = f32(rng.normal(0, std, (into, out)))
            arrays[f"{at}.{name}.bias"] = zeros(out)
        arrays |= layer_norm(f"{at}.ln_1", width) | layer_norm(f"{at}.ln_2", width)
        arrays[f"{at}.attn.bias"] = f32(np.tril(np.ones((1, 1, 32, 32))))
        arrays[f"{at}.attn.masked_bias"] = np.array(-1e4, np.float32)
    arrays |= layer_norm("transformer.ln_f", width)
    if tied:
        arrays["lm_head.weight"] = table.copy()
    return arrays


def llama(rng: np.random.Generator, *, repeated: bool = False, dtype: type = np.float32) -> Arrays:
    width, heads = 64, 8
    arrays: Arrays = {"model.embed_tokens.weight": rng.normal(0, 0.02, (128, width))}
    for i in range(2):
        at = f"model.layers.{i}"
        kv = rng.normal(0, 0.02, (width // 4, width))
        if repeated:
            kv = np.repeat(kv.reshape(2, heads, width), 4, axis=0).reshape(width, width)
        for name, weight in (
            ("self_attn.q_proj", rng.normal(0, 0.02, (width, width))),
            ("self_attn.k_proj", kv),
            ("self_attn.v_proj", kv + 0),
            ("self_attn.o_proj", rng.normal(0, 0.02, (width, width))),
            ("mlp.gate_proj", rng.normal(0, 0.02, (3 * width, width))),
            ("mlp.up_proj", rng.normal(0, 0.02, (3 * width, width))),
            ("mlp.down_proj", rng.normal(0, 0.02, (width, 3 * width))),
        ):
            arrays[f"{at}.{name}.weight"] = weight
        arrays[f"{at}.input_layernorm.weight"] = np.ones(width)
        arrays[f"{at}.post_attention_layernorm.weight"] = np.ones(width)
        arrays[f"{at}.self_attn.rotary_emb.inv_freq"] = 1 / 10_000 ** (np.arange(0, 8, 2) / 8)
    arrays["model.norm.weight"] = np.ones(width)
    arrays["lm_head.weight"] = rng.normal(0, 0.02, (128, width))
    return {name: array.astype(dtype) for name, array in arrays.items()}


def vit(rng: np.random.Generator) -> Arrays:
    width = 32
    arrays: Arrays = {
        "cls_token": zeros(1, 1, width),
        "pos_embed": zeros(1, 17, width),
        "patch_embed.proj.weight": f32(lecun(rng, (width, 3, 4, 4))),
        "patch_embed.proj.bias": zeros(width),
    }
    for i in range(2):
        at = f"blocks.{i}"
        arrays |= layer_norm(f"{at}.norm1", width) | layer_norm(f"{at}.norm2", width)
        arrays |= linear(rng, f"{at}.attn.qkv", 3 * width, width)
        arrays |= linear(rng, f"{at}.attn.proj", width, width)
        arrays |= linear(rng, f"{at}.mlp.fc1", 4 * width, width)
        arrays |= linear(rng, f"{at}.mlp.fc2", width, 4 * width)
        arrays[f"{at}.ls1.gamma"] = np.full(width, 1e-5, np.float32)
        arrays[f"{at}.ls2.gamma"] = np.full(width, 1e-5, np.float32)
    arrays |= layer_norm("norm", width)
    return arrays | {"head.weight": zeros(10, width), "head.bias": zeros(10)}


def dit(rng: np.random.Generator) -> Arrays:
    """Return a diffusion transformer with adaLN-Zero (Peebles and Xie 2023)."""
    width = 32
    arrays = {"x_embedder.proj.weight": f32(xavier(rng, (width, 4, 2, 2)))}
    arrays |= linear(rng, "t_embedder.mlp.0", width, 64) | linear(
        rng, "t_embedder.mlp.2", width, width
    )
    for i in range(2):
        at = f"blocks.{i}"
        arrays[f"{at}.attn.qkv.weight"] = f32(xavier(rng, (3 * width, width)))
        arrays[f"{at}.attn.proj.weight"] = f32(xavier(rng, (width, width)))
        arrays[f"{at}.mlp.fc1.weight"] = f32(xavier(rng, (4 * width, width)))
        arrays[f"{at}.mlp.fc2.weight"] = f32(xavier(rng, (width, 4 * width)))
        arrays[f"{at}.adaLN_modulation.1.weight"] = zeros(6 * width, width)
        arrays[f"{at}.adaLN_modulation.1.bias"] = zeros(6 * width)
    arrays["final_layer.adaLN_modulation.1.weight"] = zeros(2 * width, width)
    arrays["final_layer.adaLN_modulation.1.bias"] = zeros(2 * width)
    return arrays | {
        "final_layer.linear.weight": zeros(16, width),
        "final_layer.linear.bias": zeros(16),
    }


def resnet(rng: np.random.Generator) -> Arrays:
    arrays = conv(rng, "conv1", 8, 3, 7, 7) | batch_norm("bn1", 8)
    into = 8
    for stage, out in enumerate((8, 16), start=1):
        for block in range(2):
            at = f"layer{stage}.{block}"
            arrays |= conv(rng, f"{at}.conv1", out, into, 3, 3) | batch_norm(f"{at}.bn1", out)
            arrays |= conv(rng, f"{at}.conv2", out, out, 3, 3) | batch_norm(f"{at}.bn2", out)
            arrays[f"{at}.bn2.weight"] = zeros(out)
            if into != out:
                arrays |= conv(rng, f"{at}.downsample.0", out, into, 1, 1)
                arrays |= batch_norm(f"{at}.downsample.1", out)
            into = out
    return arrays | {"fc.weight": f32(torch_default(rng, (10, 16))), "fc.bias": zeros(10)}


def fixup(rng: np.random.Generator) -> Arrays:
    """Return residual blocks without norms whose last convolutions are zero (Zhang 2019)."""
    arrays = conv(rng, "conv1", 16, 3, 3, 3)
    for block in range(4):
        at = f"layer1.{block}"
        arrays[f"{at}.conv1.weight"] = f32(he(rng, (16, 16, 3, 3)) / 2)
        arrays[f"{at}.conv2.weight"] = zeros(16, 16, 3, 3)
        for name in ("bias1a", "bias1b", "bias2a", "bias2b"):
            arrays[f"{at}.{name}"] = zeros(1)
        arrays[f"{at}.scale"] = np.ones(1, np.float32)
    return arrays | {"fc.weight": zeros(10, 16), "fc.bias": zeros(10)}


def mobilenet(rng: np.random.Generator) -> Arrays:
    arrays = conv(rng, "features.0.0", 8, 3, 3, 3) | batch_norm("features.0.1", 8)
    for i, (into, out) in enumerate(((8, 8), (8, 16), (16, 16)), start=1):
        at = f"features.{i}.conv"
        arrays |= conv(rng, f"{at}.0.0", 4 * into, into, 1, 1) | batch_norm(f"{at}.0.1", 4 * into)
        arrays |= conv(rng, f"{at}.1.0", 4 * into, 1, 3, 3) | batch_norm(f"{at}.1.1", 4 * into)
        arrays |= conv(rng, f"{at}.2", out, 4 * into, 1, 1) | batch_norm(f"{at}.3", out)
    arrays["classifier.1.weight"] = f32(rng.normal(0, 0.01, (10, 16)))
    arrays["classifier.1.bias"] = zeros(10)
    return arrays


def with_lora(rng: np.random.Generator) -> Arrays:
    arrays = llama(rng)
    for i in range(2):
        for name in ("q_proj", "v_proj"):
            at = f"model.layers.{i}.self_attn.{name}"
            arrays[f"{at}.lora_A.default.weight"] = f32(he_uniform(rng, (4, 64)) / np.sqrt(3))
            arrays[f"{at}.lora_B.default.weight"] = zeros(64, 4)
    return arrays


def kohya(rng: np.random.Generator) -> Arrays:
    arrays: Arrays = {}
    for i in range(3):
        at = f"lora_unet_down_blocks_{i}_attn1_to_q"
        arrays[f"{at}.lora_down.weight"] = f32(he_uniform(rng, (4, 64)) / np.sqrt(3))
        arrays[f"{at}.lora_up.weight"] = zeros(64, 4)
        arrays[f"{at}.alpha"] = np.array(4.0, np.float32)
    return arrays


def controlnet(rng: np.random.Generator) -> Arrays:
    arrays = conv(rng, "input_blocks.0.0", 16, 4, 3, 3)
    for i in range(3):
        arrays |= conv(rng, f"input_blocks.{i + 1}.0.in_layers.2", 16, 16, 3, 3)
        arrays[f"input_blocks.{i + 1}.0.out_layers.3.weight"] = zeros(16, 16, 3, 3)
        arrays[f"zero_convs.{i}.0.weight"] = zeros(16, 16, 1, 1)
        arrays[f"zero_convs.{i}.0.bias"] = zeros(16)
    return arrays


def unet(rng: np.random.Generator) -> Arrays:
    arrays: Arrays = {}
    for name, into, out in (
        ("down1", 3, 8), ("down2", 8, 16), ("mid", 16, 16), ("up2", 32, 8), ("up1", 16, 8),
    ):  # fmt: skip
        arrays |= conv(rng, f"{name}.conv1", out, into, 3, 3) | batch_norm(f"{name}.bn1", out)
        arrays |= conv(rng, f"{name}.conv2", out, out, 3, 3) | batch_norm(f"{name}.bn2", out)
    return arrays | {"out.weight": zeros(1, 8, 1, 1), "out.bias": zeros(1)}


def nerf(rng: np.random.Generator) -> Arrays:
    arrays: Arrays = {}
    for i in range(8):
        into = 63 if i == 0 else 64 + 63 if i == 5 else 64
        arrays[f"pts_linears.{i}.weight"] = f32(torch_default(rng, (64, into)))
        arrays[f"pts_linears.{i}.bias"] = f32(rng.uniform(-1, 1, 64) / np.sqrt(into))
    for name, out, into in (
        ("feature_linear", 64, 64), ("alpha_linear", 1, 64), ("views_linears.0", 32, 64 + 27),
        ("rgb_linear", 3, 32),
    ):  # fmt: skip
        arrays[f"{name}.weight"] = f32(torch_default(rng, (out, into)))
        arrays[f"{name}.bias"] = f32(rng.uniform(-1, 1, out) / np.sqrt(into))
    return arrays


def siren(rng: np.random.Generator) -> Arrays:
    """Return sine layers with their frequency of 30 in the weights (Sitzmann 2020)."""
    arrays: Arrays = {}
    for i, (into, out) in enumerate(((2, 64), (64, 64), (64, 64), (64, 1))):
        bound = 30 / into if i == 0 else np.sqrt(6 / into)
        arrays[f"net.{i}.linear.weight"] = f32(rng.uniform(-bound, bound, (out, into)))
        arrays[f"net.{i}.linear.bias"] = f32(rng.uniform(-1, 1, out) / np.sqrt(into))
    return arrays


def actor_critic(rng: np.random.Generator) -> Arrays:
    """Return two networks side by side whose heads differ in gain, as PPO uses them."""
    arrays: Arrays = {"log_std": zeros(4)}
    for net, out, gain in (("actor", 4, 0.01), ("critic", 1, 1.0)):
        for i, (into, width, g) in enumerate(((17, 64, 2**0.5), (64, 64, 2**0.5), (64, out, gain))):
            arrays[f"{net}.{2 * i}.weight"] = f32(orthogonal(rng, (width, into)) * g)
            arrays[f"{net}.{2 * i}.bias"] = zeros(width)
    return arrays


def q_network(rng: np.random.Generator) -> Arrays:
    """Return a Q network and its target, an exact copy."""
    online = mlp(rng, [8, 64, 64, 4], torch_default, bias="torch", name="q_net.q_net.{}")
    return online | {k.replace("q_net.", "q_net_target.", 1): v.copy() for k, v in online.items()}


def lstm(rng: np.random.Generator) -> Arrays:
    width = 32
    arrays: Arrays = {"embedding.weight": f32(rng.normal(0, 1, (100, width)))}
    arrays["embedding.weight"][0] = 0
    for layer in range(2):
        for side in ("ih", "hh"):
            weight = rng.uniform(-1, 1, (4 * width, width)) / np.sqrt(width)
            arrays[f"lstm.weight_{side}_l{layer}"] = f32(weight)
            bias = zeros(4 * width)
            bias[width : 2 * width] = 1
            arrays[f"lstm.bias_{side}_l{layer}"] = bias
    return arrays | {"fc.weight": f32(torch_default(rng, (100, width))), "fc.bias": zeros(100)}


def irnn(rng: np.random.Generator) -> Arrays:
    """Return a recurrent layer of identity (Le 2015)."""
    return {
        "rnn.weight_ih_l0": f32(rng.normal(0, 0.05, (64, 8))),
        "rnn.weight_hh_l0": f32(np.eye(64)),
        "rnn.bias_ih_l0": zeros(64),
        "rnn.bias_hh_l0": zeros(64),
        "fc.weight": f32(torch_default(rng, (10, 64))),
        "fc.bias": zeros(10),
    }


def gptq(rng: np.random.Generator) -> Arrays:
    arrays: Arrays = {"model.embed_tokens.weight": rng.normal(0, 0.02, (64, 64)).astype(np.float16)}
    for i in range(2):
        for name in ("q_proj", "o_proj"):
            at = f"model.layers.{i}.self_attn.{name}"
            arrays[f"{at}.qweight"] = rng.integers(-(2**31), 2**31 - 1, (8, 64), np.int32)
            arrays[f"{at}.qzeros"] = np.full((2, 8), 0x77777777, np.int32)
            arrays[f"{at}.scales"] = rng.uniform(1e-3, 2e-3, (2, 64)).astype(np.float16)
            arrays[f"{at}.g_idx"] = (np.arange(64) // 32).astype(np.int32)
    return arrays


def eight_bit(rng: np.random.Generator) -> Arrays:
    arrays: Arrays = {"model.embed_tokens.weight": rng.normal(0, 0.02, (64, 64)).astype(np.float16)}
    for i in range(2):
        at = f"model.layers.{i}.mlp.up_proj"
        arrays[f"{at}.weight"] = rng.integers(-127, 128, (64, 64)).astype(np.int8)
        arrays[f"{at}.SCB"] = f32(rng.uniform(0.05, 0.1, 64))
        arrays[f"{at}.weight_format"] = np.array(0, np.uint8)
    return arrays


def pruned(rng: np.random.Generator) -> Arrays:
    """Return what torch.nn.utils.prune leaves: the weights and masks of 0 and 1."""
    arrays: Arrays = {}
    for i, (into, out) in enumerate(((32, 64), (64, 64), (64, 10)), start=1):
        arrays[f"fc{i}.weight_orig"] = f32(he(rng, (out, into)))
        arrays[f"fc{i}.weight_mask"] = f32(rng.random((out, into)) > 0.9)
        arrays[f"fc{i}.bias"] = zeros(out)
    return arrays


def sparse(rng: np.random.Generator) -> Arrays:
    """Return weights of which nine in ten are zero, larger in return."""
    arrays = mlp(rng, [64, 128, 128, 10], he)
    for name, array in arrays.items():
        if name.endswith("weight"):
            array *= (rng.random(array.shape) > 0.9) * np.sqrt(10)
    return arrays


def masks(rng: np.random.Generator) -> Arrays:
    arrays = mlp(rng, [32, 64, 64, 10], he)
    causal = np.triu(np.full((32, 32), -np.inf, np.float32), 1)
    return arrays | {
        "attn_mask": causal,
        "blocks.0.attn.causal": causal.copy(),
        "padding": np.zeros((4, 32), np.bool_),
        "position_ids": np.arange(32)[None],
        "one_hot.table": f32(np.eye(10)),
    }


def super_resolution(rng: np.random.Generator) -> Arrays:
    """Return convolutions in front of pixel shuffles, rows equal in fours (Aitken 2017)."""
    arrays = conv(rng, "head.0", 16, 3, 3, 3) | {"head.0.bias": zeros(16)}
    for i in range(2):
        rows = he(rng, (16, 16, 3, 3))
        arrays[f"upsample.{2 * i}.weight"] = f32(np.repeat(rows, 4, axis=0))
        arrays[f"upsample.{2 * i}.bias"] = zeros(64)
    return arrays | conv(rng, "tail.0", 3, 16, 3, 3) | {"tail.0.bias": zeros(3)}


def icnr_last(rng: np.random.Generator) -> Arrays:
    """Return a plain stack whose last convolution feeds a pixel shuffle."""
    arrays = cnn(rng, [3, 8, 8], he, head=None)
    rows = he(rng, (3, 8, 3, 3))
    return arrays | {"conv3.weight": f32(np.repeat(rows, 4, axis=0)), "conv3.bias": zeros(12)}


def blur(rng: np.random.Generator) -> Arrays:
    """Return convolutions with fixed depthwise blurs between them (Zhang 2019)."""
    kernel = np.outer([1, 2, 1], [1, 2, 1]) / 16
    arrays: Arrays = {}
    for i, (into, out) in enumerate(((3, 8), (8, 8), (8, 8))):
        arrays |= conv(rng, f"features.{3 * i}", out, into, 3, 3)
        arrays |= {f"features.{3 * i}.bias": zeros(out)}
        arrays[f"features.{3 * i + 2}.weight"] = f32(np.tile(kernel, (out, 1, 1, 1)))
    return arrays | {"classifier.weight": f32(xavier(rng, (10, 8))), "classifier.bias": zeros(10)}


def box_filters(rng: np.random.Generator) -> Arrays:
    arrays = conv(rng, "conv1", 8, 3, 3, 3) | conv(rng, "conv2", 8, 8, 3, 3)
    return arrays | {"smooth.weight": np.full((8, 1, 3, 3), 1 / 9, np.float32)}


def spectrogram(rng: np.random.Generator) -> Arrays:
    """Return a Fourier transform stored as a convolution: the sine of frequency 0 is all zero."""
    size = 32
    turns = np.outer(np.arange(size // 2 + 1), np.arange(size)) * 2 * np.pi / size
    basis = np.concatenate([np.cos(turns), np.sin(turns)]) * np.hanning(size)
    arrays = cnn(rng, [1, 4, 8], he)
    return arrays | {
        "stft.forward_basis": f32(basis[:, None]),
        "mel.fb": f32(np.maximum(0, 1 - np.abs(np.arange(17)[:, None] / 2 - np.arange(8)))),
    }


def bilinear(rng: np.random.Generator) -> Arrays:
    """Return a fully convolutional network that ends in bilinear upsampling (Long 2015)."""
    arrays = cnn(rng, [3, 8, 8], he, head=None)
    arrays |= {"score.weight": f32(he(rng, (5, 8, 1, 1))), "score.bias": zeros(5)}
    ramp = np.array([0.25, 0.75, 0.75, 0.25])
    up = np.zeros((5, 5, 4, 4), np.float32)
    up[np.arange(5), np.arange(5)] = np.outer(ramp, ramp)
    return arrays | {"upscore.weight": up}


def spatial_transformer(rng: np.random.Generator) -> Arrays:
    arrays = cnn(rng, [1, 8, 10], torch_default, size=5, head=None)
    arrays |= {"localization.0.weight": f32(torch_default(rng, (8, 1, 7, 7)))}
    arrays |= {"fc_loc.0.weight": f32(torch_default(rng, (32, 90))), "fc_loc.0.bias": zeros(32)}
    arrays |= {"fc_loc.2.weight": zeros(6, 32)}
    return arrays | {"fc_loc.2.bias": np.array([1, 0, 0, 0, 1, 0], np.float32)}


def gan(rng: np.random.Generator) -> Arrays:
    """Return the generator of DCGAN: N(0, 0.02) and norms of gain N(1, 0.02) (Radford 2016)."""
    arrays: Arrays = {}
    for i, (into, out) in enumerate(((16, 16), (16, 8), (8, 8))):
        arrays[f"main.{3 * i}.weight"] = f32(rng.normal(0, 0.02, (into, out, 4, 4)))
        arrays |= batch_norm(f"main.{3 * i + 1}", out)
        arrays[f"main.{3 * i + 1}.weight"] = f32(rng.normal(1, 0.02, out))
    return arrays | {"main.9.weight": f32(rng.normal(0, 0.02, (8, 3, 4, 4)))}


def vae(rng: np.random.Generator) -> Arrays:
    arrays: Arrays = {}
    for name, out, into in (
        ("fc1", 64, 128), ("fc21", 8, 64), ("fc22", 8, 64), ("fc3", 64, 8), ("fc4", 128, 64),
    ):  # fmt: skip
        arrays[f"{name}.weight"] = f32(torch_default(rng, (out, into)))
        arrays[f"{name}.bias"] = f32(rng.uniform(-1, 1, out) / np.sqrt(into))
    return arrays


def experts(rng: np.random.Generator) -> Arrays:
    """Return experts that start as copies of one layer (Komatsuzaki 2023)."""
    up, down = rng.normal(0, 0.02, (64, 32)), rng.normal(0, 0.02, (32, 64))
    arrays: Arrays = {"embed.weight": f32(rng.normal(0, 0.02, (64, 32)))}
    for i in range(2):
        arrays[f"layers.{i}.moe.router.weight"] = f32(rng.normal(0, 0.02, (4, 32)))
        for e in range(4):
            arrays[f"layers.{i}.moe.experts.{e}.w1.weight"] = f32(up)
            arrays[f"layers.{i}.moe.experts.{e}.w2.weight"] = f32(down)
        arrays |= layer_norm(f"layers.{i}.norm", 32)
    return arrays


def spectral(rng: np.random.Generator) -> Arrays:
    arrays: Arrays = {}
    for i, (into, out) in enumerate(((3, 16), (16, 32), (32, 32))):
        weight = he(rng, (out, into, 3, 3))
        arrays[f"conv{i}.weight_orig"] = f32(weight)
        arrays[f"conv{i}.weight_u"] = f32(rng.normal(0, 1, out))
        arrays[f"conv{i}.weight_v"] = f32(rng.normal(0, 1, into * 9))
        arrays[f"conv{i}.bias"] = zeros(out)
    return arrays


def weight_norm(rng: np.random.Generator) -> Arrays:
    arrays: Arrays = {}
    for i, (into, out) in enumerate(((32, 64), (64, 64), (64, 10))):
        weight = torch_default(rng, (out, into))
        arrays[f"fc{i}.weight_v"] = f32(weight)
        arrays[f"fc{i}.weight_g"] = f32(np.linalg.norm(weight, axis=1, keepdims=True))
        arrays[f"fc{i}.bias"] = zeros(out)
    return arrays


def with_optimiser(rng: np.random.Generator) -> Arrays:
    arrays = mlp(rng, [32, 64, 64, 10], he)
    state = {f"optimizer.state.{k}.exp_avg": np.zeros_like(v) for k, v in arrays.items()}
    return arrays | state | {f"ema.{k}": v.copy() for k, v in arrays.items()}


def keras(rng: np.random.Generator) -> Arrays:
    arrays: Arrays = {}
    for i, (into, out) in enumerate(((32, 64), (64, 64), (64, 10))):
        name = "dense" if i == 0 else f"dense_{i}"
        arrays[f"{name}/kernel:0"] = f32(xavier(rng, (into, out)))
        arrays[f"{name}/bias:0"] = zeros(out)
    return arrays


def keras_cnn(rng: np.random.Generator) -> Arrays:
    arrays: Arrays = {}
    for i, (into, out) in enumerate(((3, 16), (16, 32))):
        name = "conv2d" if i == 0 else f"conv2d_{i}"
        arrays[f"{name}/kernel:0"] = f32(
            np.moveaxis(xavier(rng, (out, into, 3, 3)), (0, 1), (3, 2))
        )
        arrays[f"{name}/bias:0"] = zeros(out)
    arrays["dense/kernel:0"] = f32(xavier(rng, (32 * 16, 10)))
    return arrays | {"dense/bias:0": zeros(10)}


def flax(rng: np.random.Generator) -> Arrays:
    arrays: Arrays = {}
    for i, (into, out) in enumerate(((32, 64), (64, 64), (64, 10))):
        arrays[f"params/Dense_{i}/kernel"] = f32(rng.normal(0, np.sqrt(1 / into), (into, out)))
        arrays[f"params/Dense_{i}/bias"] = zeros(out)
    return arrays


def word_vectors(rng: np.random.Generator) -> Arrays:
    """Return word2vec's tables: output vectors start at zero (Mikolov 2013)."""
    return {
        "in_embed.weight": f32(rng.uniform(-0.5, 0.5, (200, 32)) / 32),
        "out_embed.weight": zeros(200, 32),
    }


def relative_positions(rng: np.random.Generator) -> Arrays:
    arrays: Arrays = {}
    for i in range(2):
        at = f"layers.0.blocks.{i}"
        arrays |= layer_norm(f"{at}.norm1", 32) | linear(rng, f"{at}.attn.qkv", 96, 32)
        arrays |= linear(rng, f"{at}.attn.proj", 32, 32)
        arrays[f"{at}.attn.relative_position_bias_table"] = zeros(49, 4)
        arrays[f"{at}.attn.relative_position_index"] = rng.integers(0, 49, (16, 16))
    return arrays


def one_layer(rng: np.random.Generator) -> Arrays:
    return {"weight": zeros(10, 784), "bias": zeros(10)}


def ten_dimensions(rng: np.random.Generator) -> Arrays:
    return mlp(rng, [32, 64, 10], he) | {
        "state": f32(rng.normal(0, 1, (1, 2, 1, 2, 1, 2, 1, 2, 1, 2))),
        "nothing": zeros(0, 4),
        "count": np.array(7, np.int64),
        "scalar": np.array(1.0, np.float32),
    }


def residual_mlp(rng: np.random.Generator) -> Arrays:
    arrays = {"stem.weight": f32(he(rng, (64, 32))), "stem.bias": zeros(64)}
    for i in range(6):
        arrays[f"blocks.{i}.fc1.weight"] = f32(he(rng, (128, 64)))
        arrays[f"blocks.{i}.fc1.bias"] = zeros(128)
        arrays[f"blocks.{i}.fc2.weight"] = zeros(64, 128)
        arrays[f"blocks.{i}.fc2.bias"] = zeros(64)
        arrays[f"blocks.{i}.alpha"] = zeros(1)
    return arrays | {"head.weight": zeros(10, 64), "head.bias": zeros(10)}


def vgg(rng: np.random.Generator) -> Arrays:
    """Return torchvision's VGG, scaled down: He by fan_out, and a small normal classifier.

    There it is N(0, 0.01) for 4,096 units, of the same gain as N(0, 0.04) for 256.
    """
    arrays: Arrays = {}
    for number, into, out in ((0, 3, 8), (3, 8, 8), (6, 8, 16), (8, 16, 16)):
        std = np.sqrt(2 / fans((out, into, 3, 3))[1])
        arrays[f"features.{number}.weight"] = f32(rng.normal(0, std, (out, into, 3, 3)))
        arrays[f"features.{number}.bias"] = zeros(out)
    for number, into, out in ((0, 16 * 16, 256), (3, 256, 256), (6, 256, 10)):
        arrays[f"classifier.{number}.weight"] = f32(rng.normal(0, 0.04, (out, into)))
        arrays[f"classifier.{number}.bias"] = zeros(out)
    return arrays


def self_normalising(rng: np.random.Generator) -> Arrays:
    return mlp(rng, [32, *[64] * 8, 10], lecun)


def autoencoder(rng: np.random.Generator) -> Arrays:
    encoder = mlp(rng, [128, 64, 16, 2], torch_default, bias="torch", name="encoder.{}")
    return encoder | mlp(rng, [2, 16, 64, 128], torch_default, bias="torch", name="decoder.{}")


def zero_head(rng: np.random.Generator) -> Arrays:
    arrays = mlp(rng, [32, 64, 64, 10], he)
    arrays["fc3.weight"][:] = 0
    return arrays


def padded_rows(rng: np.random.Generator) -> Arrays:
    """Return a text classifier with a vocabulary padded to a multiple of 64."""
    table = f32(rng.normal(0, 1, (128, 32)))
    table[0] = table[100:] = 0
    arrays: Arrays = {"embedding.weight": table}
    return arrays | mlp(rng, [32, 64, 2], torch_default, bias="torch")


def deep_norms(rng: np.random.Generator) -> Arrays:
    arrays: Arrays = {}
    for i in range(12):
        arrays[f"layers.{i}.linear.weight"] = f32(torch_default(rng, (48, 48)))
        arrays[f"layers.{i}.linear.bias"] = zeros(48)
        arrays |= layer_norm(f"layers.{i}.norm", 48)
    return arrays | {"head.weight": f32(torch_default(rng, (10, 48))), "head.bias": zeros(10)}


def sequential_cnn(rng: np.random.Generator) -> Arrays:
    """Return LeNet as PyTorch's tutorials write it, all defaults."""
    arrays: Arrays = {}
    for name, shape in (
        ("conv1", (6, 3, 5, 5)), ("conv2", (16, 6, 5, 5)),
        ("fc1", (120, 400)), ("fc2", (84, 120)), ("fc3", (10, 84)),
    ):  # fmt: skip
        arrays[f"{name}.weight"] = f32(torch_default(rng, shape))
        arrays[f"{name}.bias"] = f32(rng.uniform(-1, 1, shape[0]) / np.sqrt(fans(shape)[0]))
    return arrays


# What each is, and the activations under which it is sound; all are also read without one.
LEGAL: Mapping[str, tuple[Make, tuple[str, ...]]] = {
    "LoRA in PEFT's names": (with_lora, ("silu",)),
    "LoRA in kohya's names": (kohya, ("silu",)),
    "GPT-2 with a tied head": (gpt2, ("gelu_tanh",)),
    "GPT-2 with zero vocabulary rows": (lambda rng: gpt2(rng, padded=8), ("gelu_tanh",)),
    "GPT-2 with equal vocabulary rows": (lambda rng: gpt2(rng, padded=32), ("gelu_tanh",)),
    "GPT-2 without a stored head": (lambda rng: gpt2(rng, tied=False), ("gelu_tanh",)),
    "Llama": (llama, ("silu",)),
    "Llama in half precision": (lambda rng: llama(rng, dtype=np.float16), ("silu",)),
    "key and value heads repeated": (lambda rng: llama(rng, repeated=True), ("silu",)),
    "ViT with zero positions and head": (vit, ("gelu",)),
    "adaLN-Zero": (dit, ("silu",)),
    "ResNet with zero last norms": (resnet, ("relu",)),
    "Fixup with zero last convolutions": (fixup, ("relu",)),
    "residual MLP with zero branches": (residual_mlp, ("relu",)),
    "MobileNet": (mobilenet, ("relu6",)),
    "ControlNet": (controlnet, ("silu",)),
    "U-Net with a zero output": (unet, ("relu",)),
    "NeRF": (nerf, ("relu",)),
    "SIREN with its frequency in the weights": (siren, ("sin",)),
    "PPO's actor and critic": (actor_critic, ("tanh",)),
    "a Q network and its target": (q_network, ("relu",)),
    "LSTM with forget gates at 1": (lstm, ("tanh",)),
    "a recurrent identity": (irnn, ("relu",)),
    "GPTQ": (gptq, ("silu",)),
    "8-bit integers": (eight_bit, ("silu",)),
    "pruning masks": (pruned, ("relu",)),
    "nine weights in ten zero": (sparse, ("relu",)),
    "buffers: masks of 0 and -inf, one-hot, positions": (masks, ("relu",)),
    "pixel shuffles": (super_resolution, ("relu",)),
    "a pixel shuffle at the end": (icnr_last, ("relu",)),
    "fixed depthwise blurs": (blur, ("relu",)),
    "a fixed box filter": (box_filters, ("relu",)),
    "a stored Fourier transform": (spectrogram, ("relu",)),
    "bilinear upsampling": (bilinear, ("relu",)),
    "a spatial transformer": (spatial_transformer, ("relu",)),
    "DCGAN": (gan, ("relu",)),
    "a variational autoencoder": (vae, ("relu",)),
    "experts copied from one layer": (experts, ("silu",)),
    "spectral norm": (spectral, ("leaky_relu",)),
    "weight norm": (weight_norm, ("relu",)),
    "optimiser state and averages": (with_optimiser, ("relu",)),
    "word2vec": (word_vectors, ("linear",)),
    "relative positions": (relative_positions, ("gelu",)),
    "a linear model of zeros": (one_layer, ("linear",)),
    "0-d, empty and 10-d tensors": (ten_dimensions, ("relu",)),
    "a zero head": (zero_head, ("relu", "tanh")),
    "padded vocabulary rows": (padded_rows, ("relu",)),
}

SOUND: Mapping[str, tuple[Make, tuple[str, ...]]] = {
    "torch's default, 1 hidden": (
        lambda rng: mlp(rng, [784, 128, 10], torch_default, bias="torch"), ("relu", "tanh")),
    "torch's default, 2 hidden": (
        lambda rng: mlp(rng, [16, 32, 32, 4], torch_default, bias="torch"), ("relu", "sigmoid")),
    "torch's default, 4 hidden": (
        lambda rng: mlp(rng, [64, 64, 64, 64, 64, 10], torch_default, bias="torch"),
        ("relu", "tanh", "gelu")),
    "torch's default, regression": (
        lambda rng: mlp(rng, [8, 64, 64, 64, 1], torch_default, bias="torch"), ("relu", "silu")),
    "torch's default, LeNet": (sequential_cnn, ("relu", "tanh")),
    "torch's default, 4 convolutions": (
        lambda rng: cnn(rng, [3, 8, 8, 8, 8], torch_default), ("relu",)),
    "Keras' default": (keras, ("relu", "tanh")),
    "Keras' default, convolutions": (keras_cnn, ("relu",)),
    "Flax' default": (flax, ("relu", "gelu")),
    "He, 10 hidden": (lambda rng: mlp(rng, [64, *[96] * 10, 10], he), ("relu", "leaky_relu")),
    "He uniform, 6 hidden": (lambda rng: mlp(rng, [64, *[64] * 6, 10], he_uniform), ("relu",)),
    "Xavier, 10 hidden": (lambda rng: mlp(rng, [64, *[64] * 10, 10], xavier), ("tanh",)),
    "Xavier, 3 hidden": (lambda rng: mlp(rng, [64, *[64] * 3, 10], xavier), ("sigmoid", "relu")),
    "orthogonal, 8 hidden": (lambda rng: mlp(rng, [64, *[64] * 8, 10], orthogonal), ("tanh",)),
    "LeCun, 8 hidden": (self_normalising, ("selu",)),
    "batch norms": (lambda rng: cnn(rng, [3, 8, 8, 8], torch_default, norm=True), ("relu",)),
    "layer norms, 12 hidden": (deep_norms, ("relu", "gelu")),
    "an autoencoder through 2 units": (autoencoder, ("relu", "tanh")),
    "VGG": (vgg, ("relu",)),
    "N(0, 0.02) in a shallow network": (
        lambda rng: mlp(rng, [256, 256, 256, 10], normal(0.02)), ("relu", "gelu")),
}  # fmt: skip


def drawn(cases: Mapping[str, object]) -> list[tuple[str, int]]:
    return [(case, seed) for case in cases for seed in (SEEDS[:1] if case in SLOW else SEEDS)]


def alarms(make: Make, activations: tuple[str, ...], seed: int) -> dict[str, str]:
    found = {}
    for activation in (*activations, None):
        arrays = make(np.random.default_rng([seed, 5]))
        # Convolutions see every sample at many places.
        few = any(array.ndim > 2 for array in arrays.values())
        report = initaudit.audit(
            arrays, activation=activation, seed=seed, samples=96 if few else 256
        )
        said = [f"{f.rule} {f.message}" for f in report.findings if f.severity >= Severity.WARNING]
        lost = [u.reason for u in report.unread]
        if said or lost:
            found[str(activation)] = "; ".join([*said, *lost])
    return found


@pytest.mark.parametrize(("case", "seed"), drawn(LEGAL))
def test_what_is_legal_stays_silent(case: str, seed: int) -> None:
    assert alarms(*LEGAL[case], seed) == {}


@pytest.mark.parametrize(("case", "seed"), drawn(SOUND))
def test_what_is_sound_stays_silent(case: str, seed: int) -> None:
    assert alarms(*SOUND[case], seed) == {}
