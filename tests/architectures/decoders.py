"""Decoders of text from transformers."""

from __future__ import annotations

from tests.architectures.example import LENGTH, VOCABULARY
from tests.architectures.library import example

_LLAMA = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "intermediate_size": 80,
    "num_hidden_layers": 8,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 64,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
_SPECIAL = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
_FEW = _LLAMA | {"num_hidden_layers": 2}
_LONGROPE = {
    "rope_type": "longrope",
    "rope_theta": 10000.0,
    "short_factor": [1.0, 1.1, 1.3, 1.7],
    "long_factor": [1.0, 2.0, 5.0, 9.0],
}

EXAMPLES = (
    example(
        "gpt2",
        "GPT2LMHeadModel",
        {"vocab_size": VOCABULARY, "n_embd": 32, "n_layer": 12, "n_head": 4, "n_positions": 64}
        | _SPECIAL,
    ),
    example(
        "gpt_neox",
        "GPTNeoXForCausalLM",
        {
            "vocab_size": VOCABULARY,
            "hidden_size": 64,
            "intermediate_size": 256,
            "num_hidden_layers": 12,
            "num_attention_heads": 4,
            "max_position_embeddings": 64,
        }
        | _SPECIAL,
    ),
    example("llama", "LlamaForCausalLM", _LLAMA),
    example(
        "llama_scaled",
        "LlamaForCausalLM",
        _LLAMA
        | {
            "rope_parameters": {
                "rope_type": "llama3",
                "rope_theta": 10000.0,
                "factor": 8.0,
                "low_freq_factor": 1.0,
                "high_freq_factor": 4.0,
                "original_max_position_embeddings": 16,
            }
        },
    ),
    example(
        "qwen3_yarn",
        "Qwen3ForCausalLM",
        _FEW
        | {
            "head_dim": 16,
            "rope_parameters": {
                "rope_type": "yarn",
                "rope_theta": 1000.0,
                "factor": 8.0,
                "original_max_position_embeddings": 8,
                "mscale": 1.5,
                "mscale_all_dim": 0.5,
                "truncate": False,
            },
        },
    ),
    example(
        "llama_dynamic",
        "LlamaForCausalLM",
        _FEW
        | {
            "max_position_embeddings": LENGTH // 2,
            "rope_parameters": {"rope_type": "dynamic", "rope_theta": 10000.0, "factor": 4.0},
        },
        notes="sequences longer than the positions it is for",
    ),
    example(
        "llama_tied", "LlamaForCausalLM", _LLAMA | {"tie_word_embeddings": True, "head_dim": 16}
    ),
    example("mistral", "MistralForCausalLM", _LLAMA | {"sliding_window": LENGTH // 2}),
    example("qwen2", "Qwen2ForCausalLM", _LLAMA),
    example("qwen3", "Qwen3ForCausalLM", _LLAMA | {"head_dim": 16}),
    example("gemma", "GemmaForCausalLM", _LLAMA | {"head_dim": 16, "num_key_value_heads": 1}),
    example(
        "gemma2",
        "Gemma2ForCausalLM",
        _LLAMA
        | {
            "head_dim": 16,
            "query_pre_attn_scalar": 16,
            "sliding_window": LENGTH // 2,
            "attn_logit_softcapping": 2.0,
            "final_logit_softcapping": 0.5,
        },
    ),
    example("phi", "PhiForCausalLM", _LLAMA | {"num_key_value_heads": 4}),
    example("phi3", "Phi3ForCausalLM", _LLAMA),
    example(
        "phi3_longrope",
        "Phi3ForCausalLM",
        _FEW | {"original_max_position_embeddings": LENGTH // 2, "rope_parameters": _LONGROPE},
        notes="sequences longer than those it was first trained on",
    ),
    example(
        "mixtral", "MixtralForCausalLM", _LLAMA | {"num_local_experts": 4, "num_experts_per_tok": 2}
    ),
    example(
        "mamba",
        "MambaForCausalLM",
        {"vocab_size": VOCABULARY, "hidden_size": 32, "state_size": 8, "num_hidden_layers": 12}
        | _SPECIAL,
        parity=False,
        notes="judged layer by layer",
    ),
    example(
        "opt",
        "OPTForCausalLM",
        {
            "vocab_size": VOCABULARY,
            "hidden_size": 32,
            "word_embed_proj_dim": 32,
            "ffn_dim": 128,
            "num_hidden_layers": 12,
            "num_attention_heads": 4,
            "max_position_embeddings": 64,
            "pad_token_id": 1,
            "bos_token_id": 2,
            "eos_token_id": 2,
        },
    ),
    example(
        "bloom",
        "BloomForCausalLM",
        {"vocab_size": VOCABULARY, "hidden_size": 32, "n_layer": 8, "n_head": 4} | _SPECIAL,
    ),
    example(
        "gptj",
        "GPTJForCausalLM",
        {
            "vocab_size": VOCABULARY,
            "n_embd": 64,
            "n_layer": 8,
            "n_head": 4,
            "rotary_dim": 8,
            "n_positions": 64,
        }
        | _SPECIAL,
    ),
    example(
        "falcon",
        "FalconForCausalLM",
        {
            "vocab_size": VOCABULARY,
            "hidden_size": 32,
            "num_hidden_layers": 8,
            "num_attention_heads": 4,
        }
        | _SPECIAL,
    ),
    example(
        "falcon_alibi",
        "FalconForCausalLM",
        {
            "vocab_size": VOCABULARY,
            "hidden_size": 32,
            "num_hidden_layers": 8,
            "num_attention_heads": 4,
            "alibi": True,
            "multi_query": False,
            "parallel_attn": False,
        }
        | _SPECIAL,
        # Written out, transformers 5 adds the biases twice: to the scores and in the mask.
        attention="sdpa",
    ),
)
