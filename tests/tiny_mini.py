"""The mini video model's classes at a size for tests, with fresh weights."""

import torch

from genkey_core.mini import video_model

TINY_VAE = {"block_out_channels": (32, 32), "down_block_types": ("DownEncoderBlock2D",) * 2, "latent_channels": 4}
TINY_UNET = {"in_channels": 8, "out_channels": 4, "block_out_channels": (32, 32), "num_attention_heads": (1, 1)}
TINY_ENCODER = {"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 1, "patch_size": 56}


torch.set_num_threads(1)  # threads that wait for each other over tensors this small cost minutes on a busy machine


def tiny_mini(monkeypatch):
    """The configurations shrunk for one test, and a pipeline built from them."""
    monkeypatch.setattr(video_model, "VAE", video_model.VAE | TINY_VAE)
    monkeypatch.setattr(video_model, "UNET", video_model.UNET | TINY_UNET)
    monkeypatch.setattr(video_model, "IMAGE_ENCODER", video_model.IMAGE_ENCODER | TINY_ENCODER)
    return video_model.build()
