from __future__ import annotations

import math
from dataclasses import replace

import pytest

from initaudit.checkpoint.stored import Config
from initaudit.graph import placed
from initaudit.network import UNKNOWN_ACTIVATION
from tests.checkpoint.shapes import (
    assumptions,
    batch_norm,
    chain,
    linear,
    network,
    norm,
    reasons,
    tensor,
)

CONNECTED = [
    ("a torch Sequential with an activation between the numbers",
     linear("0", 64, 32) + linear("2", 64, 64) + linear("4", 10, 64), "0 > 2 > 4"),
    ("two linear layers of a Sequential with nothing between",
     linear("0", 64, 32) + linear("1", 64, 64) + linear("3", 10, 64), "0 1 > 3"),
    ("a ModuleList without gaps",
     linear("layers.0", 64, 32) + linear("layers.1", 64, 64) + linear("layers.2", 10, 64),
     "layers.0 > layers.1 > layers.2"),
    ("names that tell no order, but widths do",
     linear("fc1", 64, 32) + linear("hidden", 48, 64) + linear("out", 10, 48),
     "fc1 > hidden > out"),
    ("names against the alphabet",
     linear("zulu", 64, 32) + linear("mike", 48, 64) + linear("alfa", 10, 48),
     "zulu > mike > alfa"),
    ("ten and more layers",
     "".join(linear(f"layer{i}", 8, 8) for i in (1, 10, 11, 2, 3, 4, 5, 6, 7, 8, 9)),
     " > ".join(f"layer{i}" for i in range(1, 12))),
    ("numbered layers and a head that sorts before them",
     linear("fc", 10, 8) + "".join(linear(f"layer{i}", 8, 8) for i in range(1, 4)),
     "layer1 > layer2 > layer3 > fc"),
    ("a bare Linear", "weight 10 784; bias 10", "weight"),
    ("a torch CNN with a norm",
     "0.weight 16 3 3 3; 0.bias 16;" + batch_norm("1", 16) + "3.weight 32 16 3 3; 3.bias 32;"
     + linear("7", 10, 2048), "0 1 > 3 > (flatten) 7"),
    ("a norm behind the activation of a Sequential",
     linear("0", 64, 32) + batch_norm("2", 64) + linear("3", 10, 64), "0 > 2 3"),
    ("LeNet",
     "conv1.weight 6 1 5 5; conv1.bias 6; conv2.weight 16 6 5 5; conv2.bias 16;"
     + linear("fc1", 120, 400) + linear("fc2", 84, 120) + linear("fc3", 10, 84),
     "conv1 > conv2 > (flatten) fc1 > fc2 > fc3"),
    ("VGG of torchvision",
     "features.0.weight 64 3 3 3; features.0.bias 64; features.3.weight 128 64 3 3;"
     "features.3.bias 128;" + linear("classifier.0", 256, 6272) + linear("classifier.3", 256, 256)
     + linear("classifier.6", 10, 256),
     "features.0 > features.3 > (flatten) classifier.0 > classifier.3 > classifier.6"),
    ("convolutions and batch norms by number",
     "conv1.weight 16 3 3 3;" + batch_norm("bn1", 16) + "conv2.weight 32 16 3 3;"
     + batch_norm("bn2", 32) + linear("fc", 10, 32),
     "conv1 bn1 > conv2 bn2 > (global_avg_pool) (flatten) fc"),
    ("norms named after their layer",
     linear("fc1", 64, 32) + batch_norm("fc1_bn", 64) + linear("fc2", 64, 64)
     + batch_norm("bn_fc2", 64) + linear("fc3", 10, 64), "fc1 fc1_bn > fc2 bn_fc2 > fc3"),
    ("layer norms in lists beside the layers",
     linear("lins.0", 8, 4) + linear("lins.1", 8, 8) + norm("norms.0", 8) + norm("norms.1", 8)
     + linear("out", 2, 8), "lins.0 norms.0 > lins.1 norms.1 > out"),
    ("an RMS norm", "fc1.weight 64 32; norm1.weight 64; fc2.weight 10 64", "fc1 norm1 > fc2"),
    ("a Conv1d network",
     "conv1.weight 8 1 5; conv1.bias 8; conv2.weight 16 8 5; conv2.bias 16;"
     + linear("fc", 4, 160), "conv1 > conv2 > (flatten) fc"),
    ("a Conv3d network",
     "conv1.weight 8 1 3 3 3; conv1.bias 8; conv2.weight 16 8 3 3 3; conv2.bias 16;"
     + linear("fc", 4, 128), "conv1 > conv2 > (flatten) fc"),
    ("grouped convolutions of a Sequential",
     "0.weight 16 3 3 3; 0.bias 16; 2.weight 32 4 3 3; 2.bias 32; 4.weight 32 8 3 3; 4.bias 32;"
     + linear("6", 10, 32), "0 > 2 > 4 > (global_avg_pool) (flatten) 6"),
    ("a depthwise MobileNet",
     "model.0.0.weight 32 3 3 3;" + batch_norm("model.0.1", 32) + "model.1.0.weight 32 1 3 3;"
     + batch_norm("model.1.1", 32) + "model.1.3.weight 64 32 1 1;" + batch_norm("model.1.4", 64)
     + linear("fc", 10, 64),
     "model.0.0 model.0.1 > model.1.0 model.1.1 > model.1.3 model.1.4 > "
     "(global_avg_pool) (flatten) fc"),
    ("a transposed generator, told by its norms",
     "main.0.weight 100 64 4 4;" + batch_norm("main.1", 64) + "main.3.weight 64 32 4 4;"
     + batch_norm("main.4", 32) + "main.6.weight 32 3 4 4",
     "main.0 main.1 > main.3 main.4 > main.6"),
    ("a convolutional autoencoder",
     "encoder.0.weight 16 1 3 3; encoder.0.bias 16; encoder.2.weight 32 16 3 3; encoder.2.bias 32;"
     "decoder.0.weight 32 16 2 2; decoder.0.bias 16; decoder.2.weight 16 1 2 2; decoder.2.bias 1",
     "encoder.0 > encoder.2 > decoder.0 > decoder.2"),
    ("an autoencoder",
     linear("decoder.0", 64, 16) + linear("decoder.2", 784, 64) + linear("encoder.0", 64, 784)
     + linear("encoder.2", 16, 64), "encoder.0 > encoder.2 > decoder.0 > decoder.2"),
    ("Keras names with output numbers",
     "dense/kernel:0 784 64; dense/bias:0 64; dense_1/kernel:0 64 64; dense_1/bias:0 64;"
     "dense_10/kernel:0 64 10; dense_10/bias:0 10", "dense > dense_1 > dense_10"),
    ("Keras 3 variables by number",
     "layers/dense/vars/0 784 64; layers/dense/vars/1 64; layers/dense_1/vars/0 64 10;"
     "layers/dense_1/vars/1 10", "layers/dense > layers/dense_1"),
    ("a Keras CNN",
     "conv2d/kernel:0 3 3 1 32; conv2d/bias:0 32; conv2d_1/kernel:0 3 3 32 64; conv2d_1/bias:0 64;"
     "dense/kernel:0 1600 10; dense/bias:0 10", "conv2d > conv2d_1 > (flatten) dense"),
    ("Flax", "params/Dense_0/kernel 784 64; params/Dense_0/bias 64; params/Dense_1/kernel 64 10;"
     "params/Dense_1/bias 10", "params/Dense_0 > params/Dense_1"),
    ("Flax with running statistics in their own collection",
     "params/Conv_0/kernel 3 3 1 8; params/Conv_0/bias 8; params/BatchNorm_0/scale 8;"
     "params/BatchNorm_0/bias 8; batch_stats/BatchNorm_0/mean 8; batch_stats/BatchNorm_0/var 8;"
     "params/Dense_0/kernel 128 10; params/Dense_0/bias 10",
     "params/Conv_0 params/BatchNorm_0 > (flatten) params/Dense_0"),
    ("a pytree's paths as Python writes them",
     "['params']['Dense_0']['kernel'] 784 64; ['params']['Dense_0']['bias'] 64;"
     "['params']['Dense_1']['kernel'] 64 10; ['params']['Dense_1']['bias'] 10",
     "params/Dense_0 > params/Dense_1"),
    ("Equinox",
     ".layers[0].weight 64 32; .layers[0].bias 64; .layers[1].weight 10 64; .layers[1].bias 10",
     "layers/0 > layers/1"),
    ("Haiku", "mlp/~/linear_0/w 784 64; mlp/~/linear_0/b 64; mlp/~/linear_1/w 64 10;"
     "mlp/~/linear_1/b 10", "mlp/~/linear_0 > mlp/~/linear_1"),
    ("a JAX list of dicts", "0/w 784 64; 0/b 64; 1/w 64 10; 1/b 10", "0 > 1"),
    ("a JAX list of tuples", "0/0 784 64; 0/1 64; 1/0 64 10; 1/1 10", "0 > 1"),
    ("numpy.savez without names", "arr_0 784 64; arr_1 64; arr_2 64 10; arr_3 10", "arr_0 > arr_2"),
    ("scikit-learn", "coefs_.0 784 64; coefs_.1 64 10; intercepts_.0 64; intercepts_.1 10",
     "coefs_.0 > coefs_.1"),
    ("TensorFlow slim", "conv1/weights 5 5 1 8; conv1/biases 8; fc1/weights 128 10; fc1/biases 10",
     "conv1 > (flatten) fc1"),
    ("MXNet", "fc1_weight 64 32; fc1_bias 64; fc2_weight 10 64; fc2_bias 10", "fc1 > fc2"),
    ("hand-written (in, out)", "W1 784 64; b1 64; W2 64 10; b2 10", "W1 > W2"),
    ("hand-written (out, in) with column biases", "W1 64 784; b1 64 1; W2 10 64; b2 10 1",
     "W1 > W2"),
    ("hand-written (out, in) without biases", "W1 64 784; W2 32 64; W3 10 32", "W1 > W2 > W3"),
    ("DataParallel", linear("module.fc1", 64, 32) + linear("module.fc2", 10, 64),
     "module.fc1 > module.fc2"),
    ("torch.compile", linear("_orig_mod.fc1", 64, 32) + linear("_orig_mod.fc2", 10, 64),
     "_orig_mod.fc1 > _orig_mod.fc2"),
    ("an LSTM between an embedding and a head",
     "emb.weight 100 32; lstm.weight_ih_l0 256 32; lstm.weight_hh_l0 256 64;"
     "lstm.bias_ih_l0 256; lstm.bias_hh_l0 256; lstm.weight_ih_l1 256 64;"
     "lstm.weight_hh_l1 256 64; lstm.bias_ih_l1 256; lstm.bias_hh_l1 256;" + linear("fc", 10, 64),
     "emb lstm.l0 lstm.l1 fc"),
    ("a GRU", "gru.weight_ih_l0 192 32; gru.weight_hh_l0 192 64; gru.bias_ih_l0 192;"
     "gru.bias_hh_l0 192;" + linear("fc", 10, 64), "gru fc"),
    ("a Keras LSTM",
     "embedding/embeddings:0 1000 32; lstm/lstm_cell/kernel:0 32 256;"
     "lstm/lstm_cell/recurrent_kernel:0 64 256; lstm/lstm_cell/bias:0 256; dense/kernel:0 64 1;"
     "dense/bias:0 1", "embedding lstm/lstm_cell dense"),
    ("a PReLU with its slope", "0.weight 64 32; 1.weight 1; 2.weight 10 64", "0 > 2"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("spec", "expected"), [pytest.param(s, e, id=name) for name, s, e in CONNECTED]
)
def test_modules_that_form_a_chain_are_connected(spec: str, expected: str) -> None:
    found = network(spec)
    assert chain(found) == expected
    aside = {name for name, _ in found.apart}
    assert placed(found) == {layer.name for layer in found.layers} - aside


ASIDE = [
    ("LoRA pairs", linear("fc1", 64, 32) + "fc1.lora_A.weight 4 32; fc1.lora_B.weight 64 4;"
     + linear("fc2", 10, 64), "fc1 > fc2", {"fc1.lora_A": "LoRA", "fc1.lora_B": "LoRA"}),
    ("LoRA pairs of PEFT",
     "base_model.model.fc1.base_layer.weight 64 32;"
     "base_model.model.fc1.lora_A.default.weight 4 32;"
     "base_model.model.fc1.lora_B.default.weight 64 4;"
     "base_model.model.fc2.weight 10 64",
     "base_model.model.fc1.base_layer > base_model.model.fc2",
     {"base_model.model.fc1.lora_A.default": "LoRA",
      "base_model.model.fc1.lora_B.default": "LoRA"}),
    ("an average of the weights",
     "fc1.weight 64 32; fc2.weight 10 64; ema_model.module.fc1.weight 64 32;"
     "ema_model.module.fc2.weight 10 64; n_averaged I64", "fc1 > fc2",
     {"ema_model.module.fc1.weight": "average", "ema_model.module.fc2.weight": "average"}),
    ("the state of an optimiser",
     "model.fc1.weight 64 32; model.fc2.weight 10 64; optimizer.state.0.exp_avg 64 32;"
     "optimizer.state.0.step", "model.fc1 > model.fc2",
     {"optimizer.state.0.exp_avg": "optimiser"}),
    ("a mask", "fc1.weight 64 32; fc1.mask 64 32 BOOL; fc2.weight 10 64", "fc1 > fc2",
     {"fc1.mask": "buffer"}),
    ("two heads on one trunk",
     linear("actor", 2, 64) + linear("critic", 1, 64) + linear("fc1", 64, 4)
     + linear("fc2", 64, 64), "fc1 > fc2 > actor", {"critic": "second head"}),
    ("two towers from one input",
     linear("actor.0", 64, 4) + linear("actor.2", 2, 64) + linear("critic.0", 64, 4)
     + linear("critic.2", 1, 64), "actor.0 > actor.2",
     {"critic.0": "second network", "critic.2": "second network"}),
    ("two towers whose widths would meet",
     linear("policy.0", 64, 64) + linear("policy.2", 64, 64) + linear("value.0", 64, 64)
     + linear("value.2", 1, 64), "policy.0 > policy.2",
     {"value.0": "second network", "value.2": "second network"}),
    ("an online and a target network whose widths would meet",
     linear("policy_net.0", 64, 4) + linear("policy_net.2", 4, 64) + linear("target_net.0", 64, 4)
     + linear("target_net.2", 4, 64), "policy_net.0 > policy_net.2",
     {"target_net.0": "second network", "target_net.2": "second network"}),
    ("two networks of one kind under other names",
     linear("foo.0", 64, 4) + linear("foo.2", 4, 64) + linear("bar.0", 64, 4)
     + linear("bar.2", 4, 64), "bar.0 > bar.2",
     {"foo.0": "second network", "foo.2": "second network"}),
    ("a variational autoencoder, which samples in its middle",
     linear("encoder.0", 400, 784) + linear("fc_mu", 20, 400) + linear("fc_logvar", 20, 400)
     + linear("decoder.0", 400, 20) + linear("decoder.2", 784, 400), "encoder.0 > fc_mu",
     {"fc_logvar": "beside fc_mu", "decoder.0": "sample", "decoder.2": "sample"}),
    ("a table of positions", "pos_embed 1 16 8;" + linear("fc1", 8, 8) + linear("fc2", 2, 8),
     "fc1 > fc2", {"pos_embed": "table"}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("spec", "expected", "why"), [pytest.param(*case, id=name) for name, *case in ASIDE]
)
def test_what_is_beside_a_chain_is_apart(spec: str, expected: str, why: dict[str, str]) -> None:
    found = network(spec)
    assert chain(found) == expected
    told = reasons(found)
    assert told.keys() == why.keys()
    assert all(part in told[name] for name, part in why.items())


def blocks(pattern: str, count: int = 2) -> str:
    return ";".join(pattern.replace("#", str(i)) for i in range(count)) + ";"


UNCONNECTED = [
    ("a residual network", "conv1.weight 8 3 3 3;" + batch_norm("bn1", 8)
     + blocks("layer1.#.conv1.weight 8 8 3 3; layer1.#.conv2.weight 8 8 3 3")
     + "layer2.0.downsample.0.weight 16 8 1 1;" + linear("fc", 10, 8),
     "layer1.0.conv1", "skip connection"),
    ("residual blocks that only repetition tells",
     "inp.weight 8 4;" + blocks("mid.#.fc1.weight 8 8; mid.#.fc2.weight 8 8") + "out.weight 2 8",
     "mid.0.fc1", "skip connection"),
    ("a vision transformer",
     "cls_token 1 1 8; pos_embed 1 5 8; patch_embed.proj.weight 8 3 4 4; patch_embed.proj.bias 8;"
     + blocks(norm("blocks.#.norm1", 8) + linear("blocks.#.attn.qkv", 24, 8)
              + linear("blocks.#.attn.proj", 8, 8) + norm("blocks.#.norm2", 8)
              + linear("blocks.#.mlp.fc1", 32, 8) + linear("blocks.#.mlp.fc2", 8, 32))
     + linear("head", 10, 8), "blocks.0.attn.qkv", "attention"),
    ("GPT-2", "transformer.wte.weight 50 8; transformer.wpe.weight 16 8;"
     + blocks("transformer.h.#.attn.c_attn.weight 8 24; transformer.h.#.attn.c_attn.bias 24;"
              "transformer.h.#.attn.c_proj.weight 8 8; transformer.h.#.attn.c_proj.bias 8;"
              "transformer.h.#.mlp.c_fc.weight 8 32; transformer.h.#.mlp.c_fc.bias 32"),
     "transformer.h.0.mlp.c_fc", "attention"),
    ("LLaMA", "model.embed_tokens.weight 50 8;"
     + blocks("model.layers.#.self_attn.q_proj.weight 8 8;"
              "model.layers.#.self_attn.o_proj.weight 8 8;"
              "model.layers.#.mlp.gate_proj.weight 16 8; model.layers.#.mlp.up_proj.weight 16 8;"
              "model.layers.#.mlp.down_proj.weight 8 16") + "lm_head.weight 50 8",
     "model.layers.0.mlp.gate_proj", "gated"),
    ("BERT", "embeddings.word_embeddings.weight 50 8;"
     + linear("encoder.layer.0.attention.self.query", 8, 8)
     + linear("encoder.layer.0.attention.self.key", 8, 8)
     + linear("encoder.layer.0.intermediate.dense", 32, 8)
     + linear("encoder.layer.0.output.dense", 8, 32), "encoder.layer.0.attention.self.key",
     "attention"),
    ("an MLP-mixer",
     blocks("blocks.#.token_mixing.fc1.weight 8 8; blocks.#.token_mixing.fc2.weight 8 8", 1)
     + "head.weight 2 8", "blocks.0.token_mixing.fc1", "residual"),
    ("torch's own transformer layer",
     "encoder.layers.0.self_attn.in_proj_weight 24 8; encoder.layers.0.linear1.weight 16 8;"
     "encoder.layers.0.linear2.weight 8 16", "encoder.layers.0.linear1", "attention"),
    ("siamese towers that are joined",
     linear("left.0", 64, 32) + linear("left.2", 64, 64) + linear("right.0", 64, 32)
     + linear("right.2", 64, 64) + linear("fc", 1, 128), "left.0", "no single order"),
    ("siamese towers of one width",
     linear("left.0", 64, 64) + linear("left.2", 64, 64) + linear("right.0", 64, 64)
     + linear("right.2", 64, 64) + linear("fc", 1, 64), "left.0", "no single order"),
    ("parallel kernels over text",
     "convs.0.weight 100 1 3 300; convs.1.weight 100 1 4 300; convs.2.weight 100 1 5 300;"
     + linear("fc", 2, 100), "convs.1", "no single order"),
    ("a U-net", "down1.weight 64 3 3 3; down2.weight 128 64 3 3; up1.weight 128 64 2 2;"
     "conv1.weight 64 128 3 3; out.weight 2 64 1 1", "conv1", "no single order"),
    ("heads in a list", linear("trunk.0", 64, 32)
     + "".join(linear(f"heads.{i}", 64, 64) for i in range(3)), "heads.1", "no single order"),
    ("experts", blocks("experts.#.fc1.weight 8 8; experts.#.fc2.weight 8 8", 3)
     + "router.weight 3 8; head.weight 2 8", "experts.0.fc1", "gated"),
    ("square layers whose names tell no order",
     linear("alfa", 8, 8) + linear("zulu", 8, 8), "alfa", "no single order"),
    ("two directions of different widths",
     "gru.weight_ih_l0 192 32; gru.weight_hh_l0 192 64; gru.weight_ih_l0_reverse 96 32;"
     "gru.weight_hh_l0_reverse 96 32;" + linear("fc", 10, 128), "fc", "gru.l0_reverse"),
    ("a reverse direction alone",
     "gru.weight_ih_l0_reverse 192 32; gru.weight_hh_l0_reverse 192 64;" + linear("fc", 10, 64),
     "fc", "gru.l0_reverse"),
    ("weight norm whose gain is another than the norm",
     "fc1.weight_g 64 1; fc1.weight_v 64 32; fc1.bias 64;" + linear("fc2", 10, 64), "fc1",
     "weight norm"),
    ("weight norm as a parametrisation",
     "fc1.parametrizations.weight.original0 64 1; fc1.parametrizations.weight.original1 64 32;"
     + linear("fc2", 10, 64), "fc1", "weight norm"),
    ("a pruned layer", "fc1.weight_orig 64 32; fc1.weight_mask 64 32;" + linear("fc2", 10, 64),
     "fc2", "fc1"),
    ("packed weights",
     "layers.0.qweight 4 64 I32; layers.0.scales 1 64 F16;" + linear("fc", 10, 64), "layers.0",
     "packed"),
    ("integer weights", "fc1.weight 64 32 I8;" + linear("fc2", 10, 64), "fc1", "I8 codes"),
    ("a norm without a place", linear("fc1", 8, 8) + linear("fc2", 8, 8) + norm("extra.norm", 8),
     "fc1", "extra.norm"),
    ("a matrix without a name between matching widths",
     linear("fc1", 8, 4) + linear("fc2", 2, 8) + "transform 8 8;", "fc1", "transform"),
    ("a Keras transposed kernel",
     "conv2d_transpose/kernel:0 3 3 8 4; conv2d_transpose/bias:0 8", "conv2d_transpose",
     "(out, in)"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("spec", "name", "why"), [pytest.param(*case, id=name) for name, *case in UNCONNECTED]
)
def test_what_no_chain_is_told_for_stays_unconnected(spec: str, name: str, why: str) -> None:
    found = network(spec)
    assert chain(found) == ""
    assert placed(found) == frozenset()
    told = reasons(found)
    assert why in told[name]
    assert told.keys() >= {layer.name for layer in found.layers}


def test_both_directions_of_a_recurrent_layer_read_the_same_and_are_joined() -> None:
    spec = "".join(
        f"rnn.weight_ih_l{i}{way} 192 {fan}; rnn.weight_hh_l{i}{way} 192 64;"
        for i, fan in enumerate((32, 128))
        for way in ("", "_reverse")
    )
    found = network(spec + linear("fc", 10, 128))
    read = {layer.name: layer.inputs for layer in found.layers}
    assert read == {
        "input": (),
        "rnn.l0": ("input",),
        "rnn.l0_reverse": ("input",),
        "rnn.l0.both": ("rnn.l0", "rnn.l0_reverse"),
        "rnn.l1": ("rnn.l0.both",),
        "rnn.l1_reverse": ("rnn.l0.both",),
        "rnn.l1.both": ("rnn.l1", "rnn.l1_reverse"),
        "fc": ("rnn.l1.both",),
    }
    ways = {layer.name: layer.attributes.get("reverse") for layer in found.layers if layer.params}
    assert ways == {"rnn.l0": None, "rnn.l0_reverse": True, "rnn.l1": None,
                    "rnn.l1_reverse": True, "fc": None}  # fmt: skip


@pytest.mark.parametrize(
    ("spec", "given", "shape"),
    [
        pytest.param("gru.weight_ih_l0 96 24; gru.weight_hh_l0 96 32;" + linear("fc", 2, 32),
                     None, (35, 24), id="steps are the depth of what recurs"),
        pytest.param("emb.weight 50 24; gru.weight_ih_l0 96 24; gru.weight_hh_l0 96 32;",
                     None, (35,), id="tokens that what recurs reads"),
        pytest.param("emb.weight 50 24; gru.weight_ih_l0 96 24; gru.weight_hh_l0 96 32;",
                     (8,), (8,), id="a length that is given"),
        pytest.param("emb.weight 50 24;" + linear("fc", 2, 24),
                     None, (16,), id="tokens that are read one by one"),
    ],
)  # fmt: skip
def test_sequences_are_longer_where_a_layer_recurs(
    spec: str, given: tuple[int, ...] | None, shape: tuple[int, ...]
) -> None:
    found = network(spec, input_shape=given)
    assert found.layer("input").attributes["shape"] == shape


def test_an_activation_is_named_after_its_layer_and_unknown_without_a_source() -> None:
    found = network(linear("0", 64, 32) + linear("2", 10, 64))
    layer = found.layer("0.activation")
    assert layer.attributes["function"] == UNKNOWN_ACTIVATION
    assert "which one is not stored" in assumptions(found)
    assert not found.activation_known


def test_the_configuration_tells_the_activation_and_the_caller_overrules_it() -> None:
    config = Config("some/config.json", activation="gelu")
    spec = linear("0", 64, 32) + linear("2", 10, 64)
    assert network(spec, config=config).layer("0.gelu").attributes["function"] == "gelu"
    assert "from config.json" in assumptions(network(spec, config=config))
    given = network(spec, config=config, activation="tanh")
    assert given.layer("0.tanh").attributes["function"] == "tanh"


def test_an_unknown_activation_of_the_configuration_is_said() -> None:
    config = Config("config.json", activation_raw="snake")
    assert "'snake'" in assumptions(network(linear("0", 8, 8) + linear("2", 2, 8), config=config))


def test_a_prelu_is_the_activation_where_its_slope_stands() -> None:
    found = network("0.weight 8 4; 1.weight 1; 2.weight 8 8; 4.weight 2 8")
    assert found.layer("0.prelu").attributes == {"function": "prelu", "slope": 0.0}
    assert found.layer("2.activation").attributes["function"] == UNKNOWN_ACTIVATION


def test_the_last_layer_is_the_head_and_no_activation_follows() -> None:
    found = network(linear("0", 64, 32) + linear("2", 10, 64))
    assert found.layers[-1].name == "2"
    assert found.layer("2").attributes["role"] == "head"
    assert "role" not in found.layer("0").attributes


@pytest.mark.parametrize(
    ("spec", "name", "role"),
    [
        (linear("fc1", 64, 32) + "fc1.lora_B.weight 64 4", "fc1.lora_B", "lora_b"),
        ("emb.weight 100 32;" + linear("fc", 2, 32), "emb", "table"),
        ("left.0.weight 8 4; right.0.weight 8 4; fc.weight 1 16", "fc", "head"),
        (linear("a.gate", 8, 8) + linear("b.out", 3, 8), "a.gate", "gate"),
        (blocks("h.#.attn.c_proj.weight 8 8; h.#.mlp.c_fc.weight 8 8"), "h.1.attn.c_proj",
         "residual_last"),
    ],
)  # fmt: skip
def test_layers_that_may_be_zero_have_a_role(spec: str, name: str, role: str) -> None:
    assert network(spec).layer(name).attributes["role"] == role


def test_a_tied_head_shares_the_tensor_of_the_embedding() -> None:
    spec = "wte.weight 50 8; h.0.attn.qkv.weight 24 8"
    found = network(spec, aliases={"lm_head.weight": "wte.weight"})
    head = found.layer("lm_head")
    assert head.attributes["role"] == "head"
    assert head.params[0].tensor is found.layer("wte").params[0].tensor


def test_weight_norm_whose_gain_is_the_norm_is_its_direction() -> None:
    gain = replace(tensor("fc1.weight_g", (4, 1)), mean=math.sqrt(8), variance=0.0)
    found = network([gain, tensor("fc1.weight_v", (4, 8)), tensor("fc2.weight", (2, 4))])
    assert chain(found) == "fc1 > fc2"
    (weight,) = found.layer("fc1").params
    assert weight.tensor is not None
    assert (weight.name, weight.tensor.name) == ("weight", "fc1.weight_v")
    assert "weight_v stands for the weight" in assumptions(found)


def test_a_name_of_a_module_is_never_that_of_another_step() -> None:
    found = network(linear("input", 8, 4) + linear("flatten", 2, 8))
    names = [layer.name for layer in found.layers]
    assert len(names) == len(set(names))
    assert chain(found) == "input > flatten"


@pytest.mark.parametrize(
    "stored",
    [
        [".", "..", "...", "/", "//", ":0", "a..b", ".a", "a.", "ü", "名.weight", " ", "\n"],
        ["fc.weight", ".fc.weight", "fc/weight", "fc_weight", "['fc']['weight']", "fc"],
        ["0", "1", "00", "01", "-1", "arr_", "arr_0", "arr_00"],
        ["weight", ".weight", "bias", "W", "b", "w", "kernel:0", "params", "params/kernel"],
        ["lora_A", "lora_B.weight", "x.lora_A.y.lora_B", "lora"],
        ["a.parametrizations.weight.original0", "parametrizations.weight.original"],
        ["²", "layer²", "layer٣", "٣", "1" * 5000],
    ],
    ids=lambda names: str(names[0]),
)
@pytest.mark.parametrize(
    "shape", [(), (0,), (1,), (3,), (3, 3), (0, 3), (2, 3, 3), (3, 1, 3, 3), (1,) * 10, (2,) * 10]
)
@pytest.mark.parametrize("dtype", ["F32", "I64", "BOOL", "F8_E4M3"])
def test_no_name_or_shape_is_refused(stored: list[str], shape: tuple[int, ...], dtype: str) -> None:
    found = network([tensor(name, shape, dtype) for name in stored])
    names = [layer.name for layer in found.layers]
    assert len(names) == len(set(names))
    assert set(names) - set(reasons(found)) == placed(found)


def test_nothing_stored_is_a_network_without_layers() -> None:
    assert network("").layers == ()
