"""The networks that the graph readers are held against, built by torch and transformers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn

TOKENS = 50
LENGTH = 9
SAMPLES = 3


class Mlp(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc1 = nn.Linear(12, 24)
        self.act1 = nn.GELU()
        self.fc2 = nn.Linear(24, 20, bias=False)
        self.act2 = nn.SiLU()
        self.norm = nn.LayerNorm(20)
        self.fc3 = nn.Linear(20, 16)
        self.act3 = nn.LeakyReLU(0.2)
        self.fc4 = nn.Linear(16, 5)

    def forward(self, x: torch.Tensor) -> Any:
        h = self.act1(self.fc1(x))
        h = self.norm(self.act2(self.fc2(h)))
        return self.fc4(self.act3(self.fc3(h)))


class LeNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 6, 5, padding=2), nn.BatchNorm2d(6), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(6, 12, 5), nn.BatchNorm2d(12), nn.Tanh(), nn.AvgPool2d(2),
        )  # fmt: skip
        self.classifier = nn.Sequential(
            nn.Flatten(), nn.Linear(48, 30), nn.Sigmoid(), nn.Dropout(0.1), nn.Linear(30, 10)
        )

    def forward(self, x: torch.Tensor) -> Any:
        return self.classifier(self.features(x))


class Basic(nn.Module):
    def __init__(self, inside: int, outside: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inside, outside, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outside)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(outside, outside, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outside)
        self.downsample: nn.Module | None = None
        if stride != 1 or inside != outside:
            self.downsample = nn.Sequential(
                nn.Conv2d(inside, outside, 1, stride, bias=False), nn.BatchNorm2d(outside)
            )

    def forward(self, x: torch.Tensor) -> Any:
        y = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        return torch.relu(y + (x if self.downsample is None else self.downsample(x)))


class ResNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(8)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        self.layer1 = nn.Sequential(Basic(8, 8, 1), Basic(8, 8, 1))
        self.layer2 = nn.Sequential(Basic(8, 12, 2), Basic(12, 12, 1))
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(12, 7)

    def forward(self, x: torch.Tensor) -> Any:
        y = self.maxpool(torch.relu(self.bn1(self.conv1(x))))
        y = self.layer2(self.layer1(y))
        return self.fc(torch.flatten(self.avgpool(y), 1))


class Squeeze(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc1 = nn.Conv2d(width, 4, 1)
        self.fc2 = nn.Conv2d(4, width, 1)
        self.gate = nn.Hardsigmoid()

    def forward(self, x: torch.Tensor) -> Any:
        return x * self.gate(self.fc2(torch.relu(self.fc1(self.pool(x)))))


class Mobile(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, 2, 1, bias=False)
        self.stem_bn = nn.BatchNorm2d(8)
        self.act = nn.Hardswish()
        self.depthwise = nn.Conv2d(8, 8, 5, 1, 4, groups=8, dilation=2, bias=False)
        self.depthwise_bn = nn.BatchNorm2d(8)
        self.act2 = nn.Hardswish()
        self.se = Squeeze(8)
        self.project = nn.Conv2d(8, 8, 1, bias=False)
        self.project_bn = nn.BatchNorm2d(8)
        self.grouped = nn.Conv2d(8, 12, 3, 1, 1, groups=4)
        self.gn = nn.GroupNorm(3, 12)
        self.mish = nn.Mish()
        self.head = nn.Linear(12, 6)

    def forward(self, x: torch.Tensor) -> Any:
        y = self.act(self.stem_bn(self.stem(x)))
        z = self.act2(self.depthwise_bn(self.depthwise(y)))
        y = y + self.project_bn(self.project(self.se(z)))
        y = self.mish(self.gn(self.grouped(y)))
        return self.head(y.mean((2, 3)))


class Double(nn.Module):
    def __init__(self, inside: int, outside: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inside, outside, 3, padding=1)
        self.norm = nn.InstanceNorm2d(outside, affine=True)
        self.act = nn.ELU()
        self.conv2 = nn.Conv2d(outside, outside, 3, padding=1)

    def forward(self, x: torch.Tensor) -> Any:
        return torch.nn.functional.softplus(self.conv2(self.act(self.norm(self.conv1(x)))))


class Unet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.down1, self.down2 = Double(2, 6), Double(6, 8)
        self.pool = nn.MaxPool2d(2)
        self.middle = Double(8, 10)
        self.up2 = nn.ConvTranspose2d(10, 8, 2, 2)
        self.dec2 = Double(16, 8)
        self.up1 = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False)
        self.near = nn.Upsample(scale_factor=2, mode="nearest")
        self.dec1 = Double(14, 6)
        self.out = nn.Conv2d(6, 3, 1)

    def forward(self, x: torch.Tensor) -> Any:
        a = self.down1(x)
        b = self.down2(self.pool(a))
        c = self.up2(self.middle(self.pool(b)))
        d = self.dec2(torch.cat([c, b], 1))
        d = self.up1(d) + self.near(d)
        return self.out(self.dec1(torch.cat([d, a], 1)))


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(TOKENS, 10)
        self.lstm = nn.LSTM(10, 8, batch_first=True, bidirectional=True)
        self.lstm2 = nn.LSTM(16, 6, batch_first=True)
        self.gru = nn.GRU(6, 5, batch_first=True)
        self.head = nn.Linear(5, 4)

    def forward(self, input_ids: torch.Tensor) -> Any:
        y, _ = self.lstm(self.embedding(input_ids))
        y, _ = self.lstm2(y)
        y, _ = self.gru(y)
        return self.head(y[:, -1])


class Encoder(nn.Module):
    """torch's own transformer layer, built so that its fused path is not taken."""

    def __init__(self) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(16, 4, 32, batch_first=True, norm_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(16, 3)

    def forward(self, x: torch.Tensor) -> Any:
        return self.head(self.encoder(x)[:, 0])


class Only(nn.Module):
    """A model of transformers that takes one input and gives one output."""

    def __init__(self, inner: nn.Module, **more: Any) -> None:
        super().__init__()
        self.model = inner
        self.more = more

    def forward(self, input_ids: torch.Tensor) -> Any:
        return self.model(input_ids, return_dict=False, **self.more)[0]


def _gpt2() -> nn.Module:
    from transformers import GPT2Config, GPT2LMHeadModel

    config = GPT2Config(vocab_size=TOKENS, n_positions=32, n_embd=16, n_layer=2, n_head=4)
    return Only(GPT2LMHeadModel(config), use_cache=False)


def _bert() -> nn.Module:
    from transformers import BertConfig, BertForSequenceClassification

    config = BertConfig(vocab_size=TOKENS, hidden_size=16, num_hidden_layers=2,
                        num_attention_heads=4, intermediate_size=32,
                        max_position_embeddings=32)  # fmt: skip
    return Only(BertForSequenceClassification(config))


def _vit() -> nn.Module:
    from transformers import ViTConfig, ViTForImageClassification

    config = ViTConfig(hidden_size=16, num_hidden_layers=2, num_attention_heads=4,
                       intermediate_size=32, image_size=16, patch_size=4)  # fmt: skip
    return Only(ViTForImageClassification(config))


def _llama() -> nn.Module:
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(vocab_size=TOKENS, hidden_size=16, intermediate_size=40,
                         num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
                         max_position_embeddings=64)  # fmt: skip
    return Only(LlamaForCausalLM(config), use_cache=False)


def _phi3() -> nn.Module:
    """All of a head is turned, so that what is left of it is a slice of no positions."""
    from transformers import Phi3Config, Phi3ForCausalLM

    config = Phi3Config(vocab_size=TOKENS, hidden_size=16, intermediate_size=40, pad_token_id=0,
                        num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
                        max_position_embeddings=64)  # fmt: skip
    return Only(Phi3ForCausalLM(config), use_cache=False)


def _t5() -> nn.Module:
    from transformers import T5Config, T5EncoderModel

    config = T5Config(vocab_size=TOKENS, d_model=16, d_kv=4, d_ff=32, num_layers=2, num_heads=4)
    return Only(T5EncoderModel(config))


def _floats(*shape: int) -> torch.Tensor:
    return torch.randn(SAMPLES, *shape)


def _ids() -> torch.Tensor:
    return torch.randint(0, TOKENS, (SAMPLES, LENGTH))


MODELS: Mapping[str, tuple[Callable[[], nn.Module], Callable[[], torch.Tensor]]] = {
    "mlp": (Mlp, lambda: _floats(12)),
    "lenet": (LeNet, lambda: _floats(1, 16, 16)),
    "resnet": (ResNet, lambda: _floats(3, 32, 32)),
    "mobile": (Mobile, lambda: _floats(3, 16, 16)),
    "unet": (Unet, lambda: _floats(2, 16, 16)),
    "lstm": (Recurrent, _ids),
    "encoder": (Encoder, lambda: _floats(LENGTH, 16)),
    "gpt2": (_gpt2, _ids),
    "bert": (_bert, _ids),
    "vit": (_vit, lambda: _floats(3, 16, 16)),
    "llama": (_llama, _ids),
    "phi3": (_phi3, _ids),
    "t5": (_t5, _ids),
}


def built(name: str) -> tuple[nn.Module, torch.Tensor]:
    """Return a network in evaluation mode, its norms moved off their defaults, and its input."""
    make, draw = MODELS[name]
    torch.manual_seed(0)
    model = make().eval()
    for module in model.modules():
        if "norm" in type(module).__name__.lower():
            for parameter in module.parameters(recurse=False):
                parameter.data.add_(0.1 * torch.randn_like(parameter))
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.normal_(0, 0.3)
                module.running_var.uniform_(0.5, 1.5)
    return model, draw()
