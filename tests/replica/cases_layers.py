"""Cases of layers, convolutions, norms, pools and activations."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from initaudit.network import Attribute
from initaudit.signal import ACTIVATIONS
from tests.replica.case import Case, Shape


def conv(*shape: int, x: Shape, torch: Callable[..., Any] | None, id: str, **kw: Attribute) -> Case:  # noqa: A002
    out = shape[-1] if kw.get("layout") == "io" else shape[0]
    return Case("conv", (x,), {"weight": shape, "bias": (out,)}, kw, torch, id)


def _f() -> Any:
    import torch.nn.functional as functional

    return functional


def _keras_kernel(w: Any) -> Any:
    return w.permute(w.ndim - 1, w.ndim - 2, *range(w.ndim - 2))


def _recurrent(kind: str) -> Callable[..., Any]:
    def call(x: Any, p: Mapping[str, Any]) -> Any:
        import torch

        layer = getattr(torch.nn, kind)(3, 4, batch_first=True, dtype=torch.float64)
        given = {f"{role}_l0": value for role, value in p.items()}
        return torch.func.functional_call(layer, given, (x,))[0]

    return call


def _resetting(x: Any, p: Mapping[str, Any]) -> Any:
    """Return what a GRU gives whose reset acts on what the product reads, as ONNX defines it."""
    import torch

    h, found = x.new_zeros(len(x), p["weight_hh"].shape[1]), []
    u_r, u_z, u_n = p["weight_hh"].chunk(3)
    c_r, c_z, c_n = p.get("bias_hh", x.new_zeros(3 * h.shape[1])).chunk(3)
    for read in (x @ p["weight_ih"].T + p["bias_ih"]).unbind(1):
        to_r, to_z, to_n = read.chunk(3, -1)
        r = torch.sigmoid(to_r + h @ u_r.T + c_r)
        z = torch.sigmoid(to_z + h @ u_z.T + c_z)
        n = torch.tanh(to_n + (r * h) @ u_n.T + c_n)
        h = (1 - z) * n + z * h
        found.append(h)
    return torch.stack(found, 1)


LSTM = {"weight_ih": (16, 3), "weight_hh": (16, 4), "bias_ih": (16,), "bias_hh": (16,)}
GRU = {"weight_ih": (12, 3), "weight_hh": (12, 4), "bias_ih": (12,), "bias_hh": (12,)}
RNN = {"weight_ih": (4, 3), "weight_hh": (4, 4), "bias_ih": (4,), "bias_hh": (4,)}
AFFINE = {"weight": (6,), "bias": (6,)}
RUNNING = {**AFFINE, "running_mean": (6,), "running_var": (6,)}

LAYERS = [
    Case("linear", ((4, 3),), {"weight": (5, 3), "bias": (5,)},
         torch=lambda x, p: _f().linear(x, p["weight"], p["bias"])),
    Case("linear", ((4, 3),), {"weight": (3, 5)}, {"layout": "io"}, id="linear in, out",
         torch=lambda x, p: x @ p["weight"]),
    Case("linear", ((2, 4, 3),), {"weight": (5, 3), "bias": (5,)}, id="linear over a sequence",
         torch=lambda x, p: _f().linear(x, p["weight"], p["bias"])),
    conv(4, 2, 3, x=(3, 2, 7), id="conv 1d",
         torch=lambda x, p: _f().conv1d(x, p["weight"], p["bias"])),
    conv(4, 2, 3, 3, x=(2, 2, 5, 6), id="conv 2d padded and strided", stride=2, padding=1,
         torch=lambda x, p: _f().conv2d(x, p["weight"], p["bias"], 2, 1)),
    conv(4, 2, 3, 2, x=(2, 2, 5, 6), id="conv 2d, each side its own", stride=(1, 2),
         padding=(1, 0), dilation=(2, 1),
         torch=lambda x, p: _f().conv2d(x, p["weight"], p["bias"], (1, 2), (1, 0), (2, 1))),
    conv(4, 2, 3, 4, x=(2, 2, 5, 6), id="conv 2d same", padding="same",
         torch=lambda x, p: _f().conv2d(x, p["weight"], p["bias"], padding="same")),
    conv(6, 2, 3, 3, x=(2, 4, 4, 4), id="conv 2d in groups", groups=2, padding=1,
         torch=lambda x, p: _f().conv2d(x, p["weight"], p["bias"], padding=1, groups=2)),
    conv(4, 1, 3, 3, x=(2, 4, 4, 4), id="conv 2d depthwise", groups=4, padding=1,
         torch=lambda x, p: _f().conv2d(x, p["weight"], p["bias"], padding=1, groups=4)),
    conv(3, 2, 2, 4, x=(2, 2, 5, 6), id="conv 2d in Keras layout", layout="io",
         torch=lambda x, p: _f().conv2d(x, _keras_kernel(p["weight"]), p["bias"])),
    conv(3, 2, 2, 2, 3, x=(2, 2, 3, 4, 4), id="conv 3d", padding=(0, 1, 1),
         torch=lambda x, p: _f().conv3d(x, p["weight"], p["bias"], padding=(0, 1, 1))),
    Case("conv_transpose", ((2, 3, 4, 5),), {"weight": (3, 2, 4, 4), "bias": (2,)},
         {"stride": 2, "padding": 1}, id="conv_transpose 2d",
         torch=lambda x, p: _f().conv_transpose2d(x, p["weight"], p["bias"], 2, 1)),
    Case("conv_transpose", ((2, 4, 4),), {"weight": (4, 3, 3), "bias": (6,)},
         {"stride": 2, "padding": 1, "output_padding": 1, "groups": 2, "dilation": 2},
         id="conv_transpose 1d in groups",
         torch=lambda x, p: _f().conv_transpose1d(x, p["weight"], p["bias"], 2, 1, 1, 2, 2)),
    Case("conv_transpose", ((2, 3, 3, 3),), {"weight": (2, 2, 3, 4), "bias": (4,)},
         {"stride": 2, "padding": "same", "layout": "io"}, id="conv_transpose in Flax layout"),
    Case("embedding", ((3, 5),), {"weight": (7, 4)}, whole={0: 7},
         torch=lambda x, p: _f().embedding(x, p["weight"])),
    Case("embedding", ((3, 5),), {"weight": (7, 4)}, {"factor": 2.5}, whole={0: 7},
         id="embedding that is scaled",
         torch=lambda x, p: 2.5 * _f().embedding(x, p["weight"])),
    Case("lstm", ((2, 5, 3),), LSTM, torch=_recurrent("LSTM")),
    Case("gru", ((2, 5, 3),), GRU, torch=_recurrent("GRU")),
    Case("rnn", ((2, 5, 3),), RNN, torch=_recurrent("RNN")),
    Case("lstm", ((2, 5, 3),), LSTM, {"reverse": True}, id="lstm from the last step",
         torch=lambda x, p: _recurrent("LSTM")(x.flip(1), p).flip(1)),
    Case("gru", ((2, 5, 3),), GRU, {"reverse": True}, id="gru from the last step",
         torch=lambda x, p: _recurrent("GRU")(x.flip(1), p).flip(1)),
    Case("gru", ((2, 5, 3),), GRU, {"reset": "before"}, id="gru that resets before the product",
         torch=_resetting),
    Case("gru", ((2, 4, 3),), {"weight_ih": (3, 12), "weight_hh": (4, 12), "bias_ih": (12,)},
         {"reset": "before", "reverse": True, "layout": "io"}, id="gru of Keras before version 2",
         torch=lambda x, p: _resetting(
             x.flip(1), {"weight_ih": p["weight_ih"].T, "weight_hh": p["weight_hh"].T,
                         "bias_ih": p["bias_ih"]}).flip(1)),
    Case("lstm", ((2, 3, 3),), {"weight_ih": (3, 16), "weight_hh": (4, 16), "bias_ih": (16,)},
         {"layout": "io"}, id="lstm in Keras layout, one bias"),
    Case("batch_norm", ((5, 6),), RUNNING, id="batch_norm over samples",
         torch=lambda x, p: _f().batch_norm(x, None, None, p["weight"], p["bias"], training=True)),
    Case("batch_norm", ((3, 6, 4, 2),), RUNNING, {"eps": 1e-3}, id="batch_norm over an image",
         torch=lambda x, p: _f().batch_norm(
             x, None, None, p["weight"], p["bias"], training=True, eps=1e-3)),
    Case("batch_norm", ((3, 6, 4),), RUNNING, {"batch_statistics": False},
         id="batch_norm with running statistics",
         torch=lambda x, p: _f().batch_norm(
             x, p["running_mean"], p["running_var"], p["weight"], p["bias"])),
    Case("batch_norm", ((3, 4, 6),), RUNNING, {"axis": 2}, id="batch_norm, channels last"),
    Case("layer_norm", ((3, 4, 6),), AFFINE, {"eps": 1e-6},
         torch=lambda x, p: _f().layer_norm(x, (6,), p["weight"], p["bias"], 1e-6)),
    Case("layer_norm", ((3, 4, 6),), {"weight": (4, 6), "bias": (4, 6)}, id="layer_norm over two",
         torch=lambda x, p: _f().layer_norm(x, (4, 6), p["weight"], p["bias"])),
    Case("layer_norm", ((3, 6, 4, 2),), AFFINE, {"axis": 1}, id="layer_norm over channels",
         torch=lambda x, p: _f().layer_norm(
             x.movedim(1, -1), (6,), p["weight"], p["bias"]).movedim(-1, 1)),
    Case("group_norm", ((3, 6, 2, 2),), AFFINE, {"groups": 3},
         torch=lambda x, p: _f().group_norm(x, 3, p["weight"], p["bias"])),
    Case("rms_norm", ((3, 4, 6),), {"weight": (6,)}, {"eps": 1e-6},
         torch=lambda x, p: _f().rms_norm(x, (6,), p["weight"], 1e-6)),
    Case("rms_norm", ((3, 4, 6),), {"weight": (3,)}, {"eps": 1e-6, "plus": 1.0, "heads": 2},
         id="rms_norm of each head, by how much factors differ from 1",
         torch=lambda x, p: _f().rms_norm(
             x.unflatten(-1, (2, 3)), (3,), 1.0 + p["weight"], 1e-6).flatten(-2)),
    Case("layer_norm", ((3, 4, 6),), {"weight": (3,), "bias": (3,)}, {"plus": 1.0, "heads": 2},
         id="layer_norm of each head",
         torch=lambda x, p: _f().layer_norm(
             x.unflatten(-1, (2, 3)), (3,), 1.0 + p["weight"], p["bias"]).flatten(-2)),
    Case("response_norm", ((2, 6, 3, 2),), AFFINE, {"eps": 1e-6},
         torch=lambda x, p: _response(x, p, (2, 3), 1)),
    Case("response_norm", ((2, 3, 2, 6),), {"weight": (1, 1, 1, 6), "bias": (1, 1, 1, 6)},
         {"eps": 1e-6, "axis": -1}, id="response_norm, channels last",
         torch=lambda x, p: _response(x, p, (1, 2), 3)),
    Case("softmax", ((3, 4),), torch=lambda x, p: x.softmax(1)),
    Case("max_pool", ((2, 3, 6, 5),), {}, {"kernel": 2},
         torch=lambda x, p: _f().max_pool2d(x, 2)),
    Case("max_pool", ((2, 3, 6, 5),), {}, {"kernel": 3, "stride": 2, "padding": 1},
         id="max_pool with windows that overlap", torch=lambda x, p: _f().max_pool2d(x, 3, 2, 1)),
    Case("avg_pool", ((2, 3, 6),), {}, {"kernel": 3, "stride": 2, "padding": 1},
         torch=lambda x, p: _f().avg_pool1d(x, 3, 2, 1)),
    Case("avg_pool", ((2, 3, 6, 5),), {}, {"kernel": 3, "stride": 2, "padding": 1,
         "count_include_pad": False}, id="avg_pool without padding in the count",
         torch=lambda x, p: _f().avg_pool2d(x, 3, 2, 1, count_include_pad=False)),
    Case("avg_pool", ((2, 3, 5, 5),), {}, {"kernel": 2, "padding": "same"}, id="avg_pool same"),
    Case("global_avg_pool", ((2, 3, 4, 2),), torch=lambda x, p: x.mean((2, 3))),
    Case("global_avg_pool", ((2, 4, 3),), {}, {"axis": 2}, id="global_avg_pool over time",
         torch=lambda x, p: x.mean(1)),
    Case("global_avg_pool", ((2, 3, 4, 2),), {}, {"keepdims": True}, id="global_avg_pool kept",
         torch=lambda x, p: x.mean((2, 3), keepdim=True)),
    Case("adaptive_avg_pool", ((2, 3, 7, 4),), {}, {"size": 3},
         torch=lambda x, p: _f().adaptive_avg_pool2d(x, 3)),
    Case("adaptive_avg_pool", ((2, 3, 4, 4),), {}, {"size": (1, 0)},
         id="adaptive_avg_pool over one side",
         torch=lambda x, p: _f().adaptive_avg_pool2d(x, (1, None))),
    Case("upsample", ((2, 3, 2, 4),), {}, {"factor": (2, 3)},
         torch=lambda x, p: _f().interpolate(x, scale_factor=(2, 3))),
    Case("upsample", ((2, 3, 2, 4),), {}, {"factor": 2, "mode": "bilinear"}, id="upsample bilinear",
         torch=lambda x, p: _f().interpolate(x, scale_factor=2, mode="bilinear")),
    Case("upsample", ((2, 3, 2, 4),), {}, {"factor": (2, 3), "mode": "bicubic"},
         id="upsample bicubic",
         torch=lambda x, p: _f().interpolate(x, scale_factor=(2, 3), mode="bicubic")),
    Case("upsample", ((2, 3, 5, 7),), {}, {"size": (8, 3), "mode": "bicubic"},
         id="resize bicubic", torch=lambda x, p: _f().interpolate(x, (8, 3), mode="bicubic")),
    Case("upsample", ((2, 3, 5, 7),), {},
         {"size": (8, 9), "mode": "bicubic", "align_corners": True},
         id="resize bicubic with aligned corners",
         torch=lambda x, p: _f().interpolate(x, (8, 9), mode="bicubic", align_corners=True)),
    Case("upsample", ((2, 3, 5, 1),), {}, {"size": (7, 3), "mode": "bilinear"},
         id="resize bilinear", torch=lambda x, p: _f().interpolate(x, (7, 3), mode="bilinear")),
    Case("upsample", ((2, 3, 4),), {}, {"factor": 3, "mode": "linear", "align_corners": True},
         id="upsample with aligned corners",
         torch=lambda x, p: _f().interpolate(x, scale_factor=3, mode="linear", align_corners=True)),
    Case("pad", ((2, 3, 2, 4),), {}, {"before": (0, 1), "after": (2, 0), "value": 0.5},
         torch=lambda x, p: _f().pad(x, (1, 0, 0, 2), value=0.5)),
    Case("channel_shuffle", ((2, 6, 2),), {}, {"groups": 2},
         torch=lambda x, p: x.unflatten(1, (2, 3)).transpose(1, 2).flatten(1, 2)),
    Case("add", ((2, 3, 4), (2, 3, 4), (2, 3, 4)), torch=lambda x, y, z, p: x + y + z),
    Case("add", ((2, 3, 4, 4), (2, 3)), id="add a channel's offset",
         torch=lambda x, y, p: x + y[..., None, None]),
    Case("multiply", ((2, 3, 4), (2, 3, 4)), torch=lambda x, y, p: x * y),
    Case("multiply", ((2, 3, 4, 4), (2, 3)), id="multiply by a channel's gate",
         torch=lambda x, y, p: x * y[..., None, None]),
    Case("multiply", ((2, 3, 4, 4), (2, 3, 1, 1)), id="multiply by a kept gate",
         torch=lambda x, y, p: x * y),
    Case("concat", ((2, 3, 4), (2, 2, 4)), torch=lambda x, y, p: _cat(x, y, 1)),
    Case("concat", ((2, 4, 3), (2, 4, 2)), {}, {"axis": -1}, id="concat along the last axis",
         torch=lambda x, y, p: _cat(x, y, 2)),
    Case("flatten", ((2, 3, 4),), torch=lambda x, p: x.flatten(1)),
    Case("identity", ((2, 3),), torch=lambda x, p: x),
    Case("dropout", ((2, 3),), torch=lambda x, p: x),
    *(Case("activation", ((6, 5),), {}, {"function": name}, id=f"activation {name}")
      for name in ACTIVATIONS),
]  # fmt: skip


def _response(x: Any, p: Mapping[str, Any], places: tuple[int, ...], axis: int) -> Any:
    laid = [-1 if i == axis else 1 for i in range(x.ndim)]
    size = x.norm(p=2, dim=places, keepdim=True)
    share = size / (size.mean(axis, keepdim=True) + 1e-6)
    return x + p["bias"].reshape(laid) + p["weight"].reshape(laid) * x * share


def _cat(x: Any, y: Any, axis: int) -> Any:
    import torch

    return torch.cat((x, y), axis)
