"""Modules of timm's names (ViT, ResNet-50) and of the well-known PyTorch UNet."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from tests.architectures.example import images
from tests.architectures.hand import example
from tests.architectures.text import attend
from tests.architectures.vision import CLASSES, Bottleneck, ResNet

WIDTH, HEADS, DEPTH, PATCH, SIZE = 32, 4, 12, 8, 32


class PatchEmbed(nn.Module):  # type: ignore[misc]
    def __init__(self) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, WIDTH, PATCH, PATCH)
        self.norm = nn.Identity()

    def forward(self, x: Any) -> Any:
        return self.norm(self.proj(x).flatten(2).transpose(1, 2))


class Attention(nn.Module):  # type: ignore[misc]
    def __init__(self) -> None:
        super().__init__()
        self.qkv, self.proj = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)

    def forward(self, x: Any) -> Any:
        q, k, v = self.qkv(x).chunk(3, dim=-1)
        return self.proj(attend(q, k, v, HEADS, causal=False))


class Mlp(nn.Module):  # type: ignore[misc]
    def __init__(self) -> None:
        super().__init__()
        self.fc1, self.act = nn.Linear(WIDTH, 4 * WIDTH), nn.GELU()
        self.fc2 = nn.Linear(4 * WIDTH, WIDTH)

    def forward(self, x: Any) -> Any:
        return self.fc2(self.act(self.fc1(x)))


class Block(nn.Module):  # type: ignore[misc]
    def __init__(self) -> None:
        super().__init__()
        self.norm1, self.attn = nn.LayerNorm(WIDTH, eps=1e-6), Attention()
        self.norm2, self.mlp = nn.LayerNorm(WIDTH, eps=1e-6), Mlp()

    def forward(self, x: Any) -> Any:
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class VisionTransformer(nn.Module):  # type: ignore[misc]
    """timm's ViT with its initialisation: truncated normal 0.02, class token 1e-6."""

    def __init__(self) -> None:
        super().__init__()
        self.cls_token = nn.Parameter(torch.zeros(1, 1, WIDTH))
        self.pos_embed = nn.Parameter(torch.zeros(1, 1 + (SIZE // PATCH) ** 2, WIDTH))
        self.patch_embed = PatchEmbed()
        self.blocks = nn.Sequential(*(Block() for _ in range(DEPTH)))
        self.norm = nn.LayerNorm(WIDTH, eps=1e-6)
        self.head = nn.Linear(WIDTH, CLASSES)
        nn.init.trunc_normal_(self.pos_embed, std=0.02)
        nn.init.normal_(self.cls_token, std=1e-6)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02)
                nn.init.zeros_(module.bias)

    def forward(self, x: Any) -> Any:
        x = self.patch_embed(x)
        x = torch.cat([self.cls_token.expand(len(x), -1, -1), x], dim=1) + self.pos_embed
        return self.head(self.norm(self.blocks(x))[:, 0])


class TimmBottleneck(Bottleneck):
    """timm's block has an activation module behind each norm: ``act1``, ``act2``, ``act3``."""

    def __init__(self, into: int, width: int, out: int, stride: int, groups: int) -> None:
        super().__init__(into, width, out, stride, groups)
        del self.relu
        self.act1, self.act2, self.act3 = (nn.ReLU(inplace=True) for _ in range(3))

    def forward(self, x: Any) -> Any:
        y = self.act1(self.bn1(self.conv1(x)))
        y = self.act2(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        y += x if self.downsample is None else self.downsample(x)
        return self.act3(y)


class TimmResNet(ResNet):
    """timm's ResNet calls the first activation ``act1`` and zeroes the last norms."""

    def __init__(self) -> None:
        super().__init__(TimmBottleneck, (3, 4, 6, 3), zero_last=True)
        self.act1 = self.relu
        del self.relu
        self.global_pool = self.avgpool
        del self.avgpool

    def forward(self, x: Any) -> Any:
        x = self.maxpool(self.act1(self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(self.global_pool(x).flatten(1))


class DoubleConv(nn.Module):  # type: ignore[misc]
    def __init__(self, into: int, out: int, inner: int | None = None) -> None:
        super().__init__()
        inner = inner or out
        self.double_conv = nn.Sequential(
            nn.Conv2d(into, inner, 3, padding=1, bias=False),
            nn.BatchNorm2d(inner),
            nn.ReLU(inplace=True),
            nn.Conv2d(inner, out, 3, padding=1, bias=False),
            nn.BatchNorm2d(out),
            nn.ReLU(inplace=True),
        )

    def forward(self, x: Any) -> Any:
        return self.double_conv(x)


class Down(nn.Module):  # type: ignore[misc]
    def __init__(self, into: int, out: int) -> None:
        super().__init__()
        self.maxpool_conv = nn.Sequential(nn.MaxPool2d(2), DoubleConv(into, out))

    def forward(self, x: Any) -> Any:
        return self.maxpool_conv(x)


class Up(nn.Module):  # type: ignore[misc]
    def __init__(self, into: int, out: int) -> None:
        super().__init__()
        self.up = nn.ConvTranspose2d(into, into // 2, 2, 2)
        self.conv = DoubleConv(into, out)

    def forward(self, x: Any, beside: Any) -> Any:
        return self.conv(torch.cat([beside, self.up(x)], dim=1))


class Stretched(Up):
    """Bilinear interpolation in place of the transposed convolution."""

    def __init__(self, into: int, out: int) -> None:
        super().__init__(into, out)
        self.up = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True)
        self.conv = DoubleConv(into, out, into // 2)


class OutConv(nn.Module):  # type: ignore[misc]
    def __init__(self, into: int, out: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(into, out, 1)

    def forward(self, x: Any) -> Any:
        return self.conv(x)


class UNet(nn.Module):  # type: ignore[misc]
    """milesial/Pytorch-UNet with torch's initialisation."""

    def __init__(self, base: int = 4, *, bilinear: bool = False) -> None:
        super().__init__()
        self.inc = DoubleConv(3, base)
        self.down1, self.down2 = Down(base, 2 * base), Down(2 * base, 4 * base)
        less = 2 if bilinear else 1
        up = Stretched if bilinear else Up
        self.down3, self.down4 = Down(4 * base, 8 * base), Down(8 * base, 16 * base // less)
        self.up1 = up(16 * base, 8 * base // less)
        self.up2, self.up3 = up(8 * base, 4 * base // less), up(4 * base, 2 * base // less)
        self.up4 = up(2 * base, base)
        self.outc = OutConv(base, 2)

    def forward(self, x: Any) -> Any:
        a = self.inc(x)
        b = self.down1(a)
        c = self.down2(b)
        d = self.down3(c)
        x = self.up2(self.up1(self.down4(d), d), c)
        return self.outc(self.up4(self.up3(x, b), a))


EXAMPLES = (
    example(
        "timm_vit", "timm", VisionTransformer, images("x", size=SIZE), config={"num_heads": HEADS}
    ),
    example("timm_resnet50", "timm", TimmResNet, images("x", size=64)),
    example("unet", "UNet", UNet, images("x", size=64)),
    example("unet_bilinear", "UNet", lambda: UNet(bilinear=True), images("x", size=64)),
)
