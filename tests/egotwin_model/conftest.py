"""A narrow CogVideoX on disk: every folder, file and tensor named as in the hub's CogVideoX-5b-I2V, random weights."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from ..shared_data import missing_extra

WORDS = [
    "walk", "turn", "left", "right", "forward", "pick", "up", "the", "cup", "from", "table", "open", "door", "kitchen",
    "slowly", "and", "then", "look", "around", "room", "sit", "down", "stand", "stairs",
]  # fmt: skip
TEXT_LENGTH, TEXT_DIM = 12, 48


def write_tokenizer(folder: Path) -> None:
    """A trained SentencePiece unigram model in T5's layout, and its settings."""
    spm = pytest.importorskip("sentencepiece", reason=missing_extra("dev"))
    folder.mkdir(parents=True)
    draw = random.Random(0)
    corpus = folder / "corpus.txt"
    corpus.write_text("\n".join(" ".join(draw.choices(WORDS, k=8)) for _ in range(300)))
    spm.SentencePieceTrainer.train(
        input=str(corpus), model_prefix=str(folder / "spiece"), vocab_size=48, model_type="unigram",
        pad_id=0, eos_id=1, unk_id=2, bos_id=-1, minloglevel=2,
    )  # fmt: skip
    corpus.unlink()
    (folder / "spiece.vocab").unlink()
    (folder / "tokenizer_config.json").write_text(
        '{"tokenizer_class": "T5Tokenizer", "extra_ids": 100, "eos_token": "</s>", "unk_token": "<unk>", '
        f'"pad_token": "<pad>", "model_max_length": {TEXT_LENGTH}}}'
    )


def write_cogvideox(folder: Path, frames: int = 13) -> Path:
    """A diffusers pipeline folder: transformer in three shards, VAE, T5 encoder, tokenizer, scheduler.

    Its position table covers the latents of `frames` frames (13: four latents) of 4 × 6 patches, as the real one 13
    of 30 × 45.
    """
    diffusers = pytest.importorskip("diffusers", reason=missing_extra("paper"))
    import torch
    from transformers import AutoTokenizer, T5Config, T5EncoderModel

    write_tokenizer(folder / "tokenizer")
    torch.manual_seed(0)
    transformer = diffusers.CogVideoXTransformer3DModel(
        num_attention_heads=2, attention_head_dim=64, in_channels=8, out_channels=4, time_embed_dim=32,
        text_embed_dim=TEXT_DIM, num_layers=3, sample_width=12, sample_height=8, sample_frames=frames,
        max_text_seq_length=TEXT_LENGTH, use_rotary_positional_embeddings=True, use_learned_positional_embeddings=True,
    ).float()  # fmt: skip
    for tensor in [*transformer.parameters(), transformer.patch_embed.pos_embedding]:
        torch.nn.init.normal_(tensor, std=0.1)
    vae = diffusers.AutoencoderKLCogVideoX(
        down_block_types=("CogVideoXDownBlock3D",) * 4, up_block_types=("CogVideoXUpBlock3D",) * 4,
        block_out_channels=(8, 8, 8, 8), latent_channels=4, layers_per_block=1, norm_num_groups=2,
        temporal_compression_ratio=4, scaling_factor=0.7, sample_height=96, sample_width=80,
    )  # fmt: skip
    tokenizer = AutoTokenizer.from_pretrained(folder / "tokenizer", local_files_only=True)
    encoder = T5EncoderModel(
        T5Config(vocab_size=len(tokenizer), d_model=TEXT_DIM, d_kv=8, d_ff=64, num_layers=2, num_heads=6)
    )
    scheduler = diffusers.CogVideoXDDIMScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", prediction_type="v_prediction",
        rescale_betas_zero_snr=True, snr_shift_scale=1.0, timestep_spacing="trailing", set_alpha_to_one=True,
    )  # fmt: skip
    transformer.save_pretrained(folder / "transformer", max_shard_size="1200KB")
    vae.save_pretrained(folder / "vae")
    encoder.save_pretrained(folder / "text_encoder", max_shard_size="100KB")
    scheduler.save_pretrained(folder / "scheduler")
    return folder


@pytest.fixture(scope="session")
def cogvideox_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`write_cogvideox`'s; never written to."""
    return write_cogvideox(tmp_path_factory.mktemp("cogvideox"))
