"""Models of images from transformers."""

from __future__ import annotations

from tests.architectures.example import images
from tests.architectures.library import example

_VIT = {
    "hidden_size": 32,
    "intermediate_size": 128,
    "num_hidden_layers": 12,
    "num_attention_heads": 4,
    "image_size": 32,
    "patch_size": 8,
}
_RESNET = {"embedding_size": 8, "hidden_sizes": [32, 64, 128, 256]}
_LARGE = images(size=64)

EXAMPLES = (
    example("vit", "ViTForImageClassification", _VIT | {"num_labels": 10}, images()),
    example("deit", "DeiTForImageClassification", _VIT | {"num_labels": 10}, images()),
    example(
        "swin",
        "SwinForImageClassification",
        {
            "image_size": 64,
            "patch_size": 2,
            "embed_dim": 16,
            "depths": [2, 2, 6, 2],
            "num_heads": [2, 4, 8, 16],
            "window_size": 4,
            "num_labels": 10,
        },
        _LARGE,
    ),
    example("dinov2", "Dinov2Model", _VIT, images()),
    example(
        "resnet50",
        "ResNetForImageClassification",
        _RESNET | {"depths": [3, 4, 6, 3], "layer_type": "bottleneck", "num_labels": 10},
        _LARGE,
    ),
    example(
        "resnet18",
        "ResNetForImageClassification",
        {
            "embedding_size": 8,
            "hidden_sizes": [8, 16, 32, 64],
            "depths": [2, 2, 2, 2],
            "layer_type": "basic",
            "num_labels": 10,
        },
        _LARGE,
    ),
    example(
        "convnext",
        "ConvNextForImageClassification",
        {"hidden_sizes": [8, 16, 32, 64], "depths": [3, 3, 9, 3], "num_labels": 10},
        _LARGE,
    ),
    example(
        "convnextv2",
        "ConvNextV2ForImageClassification",
        {"hidden_sizes": [8, 16, 32, 64], "depths": [3, 3, 9, 3], "num_labels": 10},
        _LARGE,
    ),
    example(
        "mobilenet_v1",
        "MobileNetV1ForImageClassification",
        {"depth_multiplier": 0.25, "image_size": 64, "num_labels": 10},
        _LARGE,
    ),
    example(
        "mobilenet_v2",
        "MobileNetV2ForImageClassification",
        {"depth_multiplier": 0.25, "image_size": 64, "num_labels": 10},
        _LARGE,
    ),
    example(
        "efficientnet",
        "EfficientNetForImageClassification",
        {
            "image_size": 64,
            "width_coefficient": 0.25,
            "depth_coefficient": 1.0,
            "hidden_dim": 320,
            "dropout_rate": 0.0,
            "num_labels": 10,
        },
        _LARGE,
        notes="gains of batch norms from N(0, 0.02): fresh, it does not train",
    ),
    example(
        "segformer",
        "SegformerForSemanticSegmentation",
        {
            "hidden_sizes": [8, 16, 32, 64],
            "num_attention_heads": [1, 2, 4, 8],
            "decoder_hidden_size": 32,
            "num_labels": 10,
        },
        _LARGE,
    ),
)
