"""The evaluators' losses, the ImageNet extractor, and the paper's own extractors from files."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from ....shared_data import missing_extra

pytest.importorskip("tyro", reason=missing_extra("train"))

from egotwin_model.errors import ModelError
from training.evaluation.extractors.base import EfficientNetLite0
from training.evaluation.extractors.extractor_networks import contrastive_margin, focal_loss, info_nce
from training.evaluation.extractors.official import I3D, Clip, InceptionV3
from training.evaluation.metrics.frechet import Gaussian, frechet_distance


def test_focal_loss_by_hand() -> None:
    logits, targets = torch.tensor([[0.0, np.log(3.0)]]), torch.tensor([[True, False]])
    alpha = torch.tensor([0.80, 0.75])
    right = -0.80 * 0.5**2 * np.log(0.5)
    wrong = -0.25 * 0.75**2 * np.log(0.25)  # p = 3/4 for a hand that is not there
    assert float(focal_loss(logits, targets, 2.0, alpha)) == pytest.approx((right + wrong) / 2, rel=1e-5)
    plain = torch.nn.functional.binary_cross_entropy_with_logits(logits, targets.float())
    assert float(focal_loss(logits, targets, 0.0, torch.tensor([0.5, 0.5]))) == pytest.approx(
        float(plain) / 2, rel=1e-5
    )


def test_contrastive_losses_by_hand() -> None:
    text, motion = torch.tensor([[0.0, 0.0], [3.0, 4.0]]), torch.tensor([[0.0, 1.0], [3.0, 4.0]])
    own = torch.eye(2, dtype=torch.bool)
    matched = (1.0 + 0.0) / 2
    far, near = np.hypot(3, 4), np.hypot(3, 3)
    loss = float(contrastive_margin(motion, text, own, 6.0))
    assert loss == pytest.approx(matched + ((6 - far) ** 2 + (6 - near) ** 2) / 2, rel=1e-4)
    assert float(contrastive_margin(motion, text, torch.ones(2, 2, dtype=torch.bool), 6.0)) == pytest.approx(matched)
    unit = torch.eye(2)
    assert float(info_nce(unit, unit, own, 1.0)) == pytest.approx(np.log(1 + np.exp(-1)), rel=1e-5)
    assert float(info_nce(unit, unit, torch.ones(2, 2, dtype=torch.bool), 1.0)) == pytest.approx(0.0, abs=1e-6)


def test_imagenet_features_notice_blur_and_refuse_other_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("efficientnet_lite_pytorch", reason=missing_extra("train"))
    rng = np.random.default_rng(0)
    sharp = np.stack(
        [cv2.GaussianBlur(rng.integers(0, 256, (32, 32, 3)).astype(np.uint8), (0, 0), 1.5) for _ in range(12)]
    )
    blurred = np.stack([cv2.GaussianBlur(picture, (0, 0), 3.0) for picture in sharp])
    extractor = EfficientNetLite0()
    features = extractor(np.concatenate([sharp, blurred]))
    assert features.shape == (24, 1280)
    np.testing.assert_allclose(extractor(sharp[:2]), features[:2], atol=1e-4)
    one, other, soft = (Gaussian.fit(features[rows]) for rows in (slice(0, 6), slice(6, 12), slice(12, 24)))
    with pytest.warns(UserWarning, match="biased upwards"):
        assert frechet_distance(one, soft) > 2 * frechet_distance(one, other)
    monkeypatch.setattr(EfficientNetLite0, "FILE_SHA256", "00")
    with pytest.raises(ModelError, match="was altered"):
        EfficientNetLite0()(sharp[:1])


class Script(torch.nn.Module):
    """The call of the published TorchScript extractors, on a network of one mean."""

    def forward(self, x: torch.Tensor, rescale: bool = True, resize: bool = True, return_features: bool = False):
        return x.float().flatten(2).mean(-1)


def test_official_extractors_are_loaded_by_checksum(tmp_path: Path) -> None:
    import hashlib

    path = tmp_path / "script.pt"
    torch.jit.script(Script()).save(str(path))
    checksum = hashlib.sha256(path.read_bytes()).hexdigest()
    frames = np.random.default_rng(0).integers(0, 256, (5, 8, 8, 3)).astype(np.uint8)
    images, clips = InceptionV3(path, checksum), I3D(path, checksum)
    np.testing.assert_allclose(images(frames), frames.reshape(5, -1, 3).mean(1), rtol=1e-5)
    np.testing.assert_allclose(clips(frames), frames.reshape(-1, 3).mean(0) / 127.5 - 1.0, atol=1e-5)
    assert images.identity.official
    assert images.identity.sha256 == checksum
    with pytest.raises(ModelError, match="you gave 00"):
        InceptionV3(path, "00")
    with pytest.raises(ModelError, match="is missing"):
        I3D(tmp_path / "absent.pt", checksum)
    with pytest.raises(ModelError, match="is missing"):
        Clip(tmp_path)
    path.write_bytes(b"no script")
    with pytest.raises(ModelError, match="no TorchScript file"):
        I3D(path, hashlib.sha256(b"no script").hexdigest())
