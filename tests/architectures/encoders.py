"""Encoders of text, encoder-decoders, and towers of two inputs from transformers."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from tests.architectures.example import (
    BATCH,
    LENGTH,
    VOCABULARY,
    Array,
    images,
    signals,
    together,
    tokens,
)
from tests.architectures.library import example

_BERT = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "intermediate_size": 128,
    "num_hidden_layers": 12,
    "num_attention_heads": 4,
    "max_position_embeddings": 64,
}
_T5 = {
    "vocab_size": VOCABULARY,
    "d_model": 32,
    "d_kv": 8,
    "d_ff": 128,
    "num_layers": 6,
    "num_decoder_layers": 6,
    "num_heads": 4,
}
_BART = {
    "vocab_size": VOCABULARY,
    "d_model": 32,
    "encoder_layers": 6,
    "decoder_layers": 6,
    "encoder_attention_heads": 4,
    "decoder_attention_heads": 4,
    "encoder_ffn_dim": 128,
    "decoder_ffn_dim": 128,
    "max_position_embeddings": 64,
}
_PAIR = together(tokens(), tokens("decoder_input_ids", length=LENGTH - 4))
_MELS, _FRAMES = 16, 32
_TOWER = {
    "hidden_size": 32,
    "intermediate_size": 128,
    "num_hidden_layers": 12,
    "num_attention_heads": 4,
}


def _captions(seed: int) -> Mapping[str, Array]:
    """Token ids that end with the end token: CLIP reads the text's features there."""
    ids = tokens(vocabulary=VOCABULARY - 1)(seed)["input_ids"]
    end = np.full((BATCH, 1), VOCABULARY - 1)
    return {"input_ids": np.concatenate([ids[:, :-1], end], axis=1)}


EXAMPLES = (
    example("bert", "BertModel", _BERT),
    example("bert_classifier", "BertForSequenceClassification", _BERT),
    example("roberta", "RobertaForMaskedLM", _BERT | {"pad_token_id": 1}),
    example(
        "distilbert",
        "DistilBertModel",
        {
            "vocab_size": VOCABULARY,
            "dim": 32,
            "hidden_dim": 128,
            "n_layers": 6,
            "n_heads": 4,
            "max_position_embeddings": 64,
        },
    ),
    example("electra", "ElectraModel", _BERT | {"embedding_size": 16}),
    example("t5", "T5ForConditionalGeneration", _T5, _PAIR),
    example("t5_encoder", "T5EncoderModel", _T5),
    example(
        "t5_gated",
        "T5ForConditionalGeneration",
        _T5 | {"feed_forward_proj": "gated-gelu", "tie_word_embeddings": False},
        _PAIR,
    ),
    example("bart", "BartModel", _BART, _PAIR),
    example(
        "whisper",
        "WhisperForConditionalGeneration",
        _BART
        | {
            "num_mel_bins": _MELS,
            "max_source_positions": _FRAMES // 2,
            "max_target_positions": 64,
            "pad_token_id": 0,
            "bos_token_id": 1,
            "eos_token_id": 2,
            "decoder_start_token_id": 3,
        },
        together(signals("input_features", (_MELS, _FRAMES)), tokens("decoder_input_ids")),
    ),
    example(
        "clip",
        "CLIPModel",
        {
            "projection_dim": 16,
            "text_config": _TOWER
            | {
                "vocab_size": VOCABULARY,
                "max_position_embeddings": 64,
                "bos_token_id": VOCABULARY - 2,
                "eos_token_id": VOCABULARY - 1,
                "pad_token_id": 1,
            },
            "vision_config": _TOWER | {"image_size": 32, "patch_size": 8},
        },
        together(_captions, images()),
        ends=("text_projection", "visual_projection"),
        notes="the text's features are read at the last place, where the end token stands",
    ),
)
