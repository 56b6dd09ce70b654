"""Encoding of clips: the cache is right, resumable, checked and shared; clips that do not fit are refused by name."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ...shared_data import missing_extra

pytest.importorskip("accelerate", reason=missing_extra("train"))

from egotwin_model.egotwin.config import EgoTwinConfig
from egotwin_model.errors import EgoTwinError, ModelError, RecordingError
from egotwin_model.geometry.mount import Mount
from egotwin_model.io.store import save_component, save_tensors
from egotwin_model.motion.head_centric import HeadCentric
from egotwin_model.motion.statistics import MotionStatistics
from egotwin_model.motion.vae import MotionVAE, MotionVAEConfig
from egotwin_model.text.encoders import TextEncoder
from egotwin_model.video.pixels import to_video
from egotwin_model.video.vae import CausalVideoVAE, encode_video
from training.datasets.clips.dataset import ClipSet, open_clips
from training.datasets.clips.shards import Manifest, write_shard
from training.datasets.latents.cache import Alone, CachedShards, MappedRows, Piece, cache_pieces
from training.stages.codec import frames_of
from training.stages.compatibility import check_clips, check_sizes
from training.stages.encoding import LatentClips, encode_split, motion_features
from training.stages.recipes import RECIPES, TEXT_PACKAGE, DiffusionRecipe, VideoCodecRecipe

PIECES = [Piece("a", range(3), "1"), Piece("b", range(3, 4), "2"), Piece("c", range(4, 9), "3")]
TEXTS = ("walk on", "turn left", "walk on", "stop", "turn left")
Change = Callable[[dict[str, Any]], None]


def numbers(rows: range) -> dict[str, torch.Tensor]:
    return {"x": torch.tensor([[row, row * row] for row in rows], dtype=torch.float32)}


def write_clips(folder: Path, wearer: Callable[..., Any], size: int = 64, change: Change | None = None) -> ClipSet:
    """Five clips in two shards, as the simulator writes them."""
    manifest, rng = Manifest(folder.name, seed=0, num_clips=5, size=size), np.random.default_rng(0)
    for index, rows in enumerate((range(3), range(3, 5))):
        bodies = [wearer(5.0, seed=row) for row in rows]
        arrays: dict[str, Any] = {
            "frames": rng.integers(0, 256, (len(rows), 41, size, size, 3), dtype=np.uint8),
            "positions": np.stack([body.positions[::15] for body in bodies]).astype(np.float32),
            "rotations": np.stack([body.rotations[::15] for body in bodies]).astype(np.float32),
            "offsets": np.stack([offsets_of(body) for body in bodies]).astype(np.float32),
            "camera_pose": np.tile(np.eye(4, dtype=np.float32), (len(rows), 41, 1, 1)),
            "intrinsics": np.tile(np.float32([size / 2, size / 2, (size - 1) / 2, (size - 1) / 2]), (len(rows), 1)),
            "mount": np.tile(Mount().matrix.astype(np.float32), (len(rows), 1, 1)),
        }
        if change is not None:
            change(arrays)
        arrays = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
        digest = write_shard(folder, index, arrays, [{"text": TEXTS[row]} for row in rows])
        manifest.shards[f"clips-{index:05d}"] = {"clips": len(rows), "sha256": digest}
    manifest.save(folder)
    return open_clips(folder)


def offsets_of(body: Any) -> Any:
    from egotwin_model.geometry.skeleton import XSENS_PARENTS

    parents = np.maximum(XSENS_PARENTS, 0)
    bones = body.positions[0] - body.positions[0, parents]
    return np.einsum("jba,jb->ja", body.rotations[0, parents], bones)


def joint() -> DiffusionRecipe:
    recipe = RECIPES["smoke"]["joint"]
    assert isinstance(recipe, DiffusionRecipe)
    return recipe


@pytest.fixture(scope="module")
def encoder() -> TextEncoder:
    return TextEncoder.from_package(TEXT_PACKAGE, EgoTwinConfig.smoke().text_length)


@pytest.fixture
def runs(tmp_path: Path, wearer: Callable[..., Any]) -> Path:
    """A runs folder with both codecs, and clips beside it."""
    runs = tmp_path / "runs"
    torch.manual_seed(0)
    clips = write_clips(tmp_path / "data/train", wearer)
    write_clips(tmp_path / "data/val", wearer)
    codec = RECIPES["smoke"]["video-codec"]
    assert isinstance(codec, VideoCodecRecipe)
    save_component(runs / "video-codec", CausalVideoVAE(codec.model))
    save_component(runs / "motion-vae", MotionVAE(MotionVAEConfig.smoke()))
    features = motion_features(clips, "train", runs, HeadCentric()).gather("features")
    statistics = MotionStatistics.fit(features, HeadCentric().slices)
    save_tensors(runs / "motion-vae/statistics.safetensors", statistics.to_tensors())
    return runs


def encode(runs: Path, split: str, encoder: TextEncoder) -> LatentClips:
    return encode_split(open_clips(runs.parent / "data" / split), split, runs, joint(), encoder)


# --- pieces -----------------------------------------------------------------------------------------------------------


def test_rows_of_several_files_are_those_of_one_tensor(tmp_path: Path) -> None:
    rows = cache_pieces(PIECES, tmp_path, {}, numbers).rows("x")
    whole = numbers(range(9))["x"]
    assert rows.shape == whole.shape
    for picked in (torch.tensor([8, 0, 3, 3, 2]), slice(2, 5), slice(None), torch.tensor([], dtype=torch.long)):
        assert torch.equal(rows[picked], whole[picked])
    halved = MappedRows([part["x"] for part in CachedShards(tmp_path, ["a", "b", "c"]).shards()], divisor=2.0)
    assert torch.equal(halved[torch.tensor([4])], whole[4:5] / 2)


def test_a_kill_costs_one_piece(tmp_path: Path) -> None:
    asked: list[range] = []

    def dies(rows: range) -> Mapping[str, torch.Tensor]:
        asked.append(rows)
        if len(asked) == 2:
            raise KeyboardInterrupt
        return numbers(rows)

    with pytest.raises(KeyboardInterrupt):
        cache_pieces(PIECES, tmp_path, {}, dies)
    found = cache_pieces(PIECES, tmp_path, {}, dies)
    assert [rows.start for rows in asked] == [0, 3, 3, 4]
    assert torch.equal(found.gather("x"), numbers(range(9))["x"])


def test_what_is_damaged_or_missing_is_named_and_can_be_made_again(tmp_path: Path) -> None:
    cache_pieces(PIECES, tmp_path, {}, numbers)
    path = tmp_path / "b.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(ModelError, match=r"b\.safetensors is damaged or altered.*delete .*b\.json"):
        cache_pieces(PIECES, tmp_path, {}, numbers)
    path.unlink()
    with pytest.raises(ModelError, match=r"b\.safetensors is missing, though"):
        cache_pieces(PIECES, tmp_path, {}, numbers)
    (tmp_path / "b.json").unlink()
    assert len(cache_pieces(PIECES, tmp_path, {}, numbers).rows("x")) == 9


def test_processes_share_the_pieces(tmp_path: Path) -> None:
    made: dict[int, list[int]] = {0: [], 1: []}
    found: dict[int, CachedShards] = {}

    def work(index: int) -> None:
        def make(rows: range) -> Mapping[str, torch.Tensor]:
            made[index].append(rows.start)
            return numbers(rows)

        found[index] = cache_pieces(PIECES, tmp_path, {}, make, Alone(index, 2))

    threads = [threading.Thread(target=work, args=(index,)) for index in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made == {0: [0, 4], 1: [3]}
    assert all(torch.equal(cached.gather("x"), numbers(range(9))["x"]) for cached in found.values())


def test_a_disk_without_room_for_the_rest_is_named_after_the_first_piece(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: free._replace(free=100))
    with pytest.raises(ModelError, match=r"the rest of .* needs 0\.00 GB, but the disk"):
        cache_pieces(PIECES, tmp_path, {}, numbers)
    assert [path.name for path in tmp_path.glob("*.json")] == ["a.json"]


# --- latents, texts, scale --------------------------------------------------------------------------------------------


def test_an_encoded_split_is_the_output_of_its_networks(runs: Path, encoder: TextEncoder) -> None:
    clips = encode(runs, "train", encoder)
    assert len(clips) == 5
    assert isinstance(clips.video, MappedRows)
    assert isinstance(clips.motion, MappedRows)
    opened = open_clips(runs.parent / "data/train")
    from egotwin_model.video.vae import load_video_vae

    with torch.no_grad():
        wanted = encode_video(load_video_vae(runs / "video-codec"), to_video(frames_of(opened, [4]))).transpose(1, 2)
    torch.testing.assert_close(clips.video[torch.tensor([4])].float(), wanted, atol=0.05, rtol=0.05)  # through bf16
    assert clips.motion[:].square().mean().sqrt() == pytest.approx(1.0, abs=1e-3)
    texts = clips.texts[clips.text_index].float()
    assert torch.equal(texts[0], texts[2])
    torch.testing.assert_close(texts[3:4], encoder(["stop"]).half().float(), atol=2e-3, rtol=1e-2)
    torch.testing.assert_close(clips.texts[:1].float(), encoder([""]).half().float(), atol=2e-3, rtol=1e-2)


def test_a_motion_vae_that_is_trained_again_gets_new_latents_and_a_new_scale(runs: Path, encoder: TextEncoder) -> None:
    with pytest.raises(ModelError, match="encode the train split first"):
        encode(runs, "val", encoder)
    before = encode(runs, "train", encoder).motion
    held_out = encode(runs, "val", encoder).motion
    assert isinstance(before, MappedRows)
    assert isinstance(held_out, MappedRows)
    assert held_out.divisor == before.divisor
    vae = MotionVAE(MotionVAEConfig.smoke())
    with torch.no_grad():
        for parameter in vae.encoder.parameters():
            parameter.mul_(1.5)
    save_component(runs / "motion-vae", vae)
    after = encode(runs, "train", encoder).motion
    assert isinstance(after, MappedRows)
    assert after.divisor != before.divisor
    assert after[:].square().mean().sqrt() == pytest.approx(1.0, abs=1e-3)


def test_motion_with_other_statistics_than_the_vaes_is_refused(
    runs: Path, encoder: TextEncoder, wearer: Callable[..., Any]
) -> None:
    def in_centimetres(arrays: dict[str, Any]) -> None:
        arrays["positions"], arrays["offsets"] = 100 * arrays["positions"], 100 * arrays["offsets"]

    folder = runs.parent / "data/train"
    shutil.rmtree(folder)
    check_clips(write_clips(folder, wearer, change=in_centimetres))  # a skeleton like any other
    with pytest.raises(ModelError, match=r"data/train has other statistics than that .*motion-vae was trained on"):
        encode(runs, "train", encoder)


# --- clips that do not fit --------------------------------------------------------------------------------------------


def shuffled(arrays: dict[str, Any]) -> None:
    arrays["positions"] = arrays["positions"][:, :, np.random.default_rng(0).permutation(23)]


def with_a_hole(arrays: dict[str, Any]) -> None:
    arrays["positions"][-1, 3, 5] = np.nan


def short(arrays: dict[str, Any]) -> None:
    arrays["frames"] = arrays["frames"][:, :33]


@pytest.mark.parametrize(
    ("change", "message"),
    [(shuffled, "another skeleton"), (with_a_hole, "another skeleton"), (short, "wanted \\(41, ")],
)
def test_other_skeletons_and_lengths_are_refused(
    tmp_path: Path, wearer: Callable[..., Any], change: Change, message: str
) -> None:
    check_clips(write_clips(tmp_path / "whole", wearer))
    with pytest.raises(RecordingError, match=message):
        check_clips(write_clips(tmp_path / "train", wearer, change=change))


def test_other_rates_and_no_clips_are_refused(tmp_path: Path, wearer: Callable[..., Any]) -> None:
    write_clips(tmp_path / "train", wearer)
    manifest = Manifest.load(tmp_path / "train")
    manifest.pose_rate = 30.0
    manifest.save(tmp_path / "train")
    with pytest.raises(RecordingError, match="8 frames and 30 poses a second; wanted 8 and 16"):
        check_clips(open_clips(tmp_path / "train"))
    Manifest("train", seed=0, num_clips=0, size=64).save(tmp_path / "empty")
    with pytest.raises(RecordingError, match="no finished clips"):
        check_clips(open_clips(tmp_path / "empty"))


def test_frames_and_codecs_of_another_size_are_refused(runs: Path, wearer: Callable[..., Any]) -> None:
    clips = open_clips(runs.parent / "data/train")
    check_sizes(clips, joint(), runs)
    with pytest.raises(EgoTwinError, match=r"frame sizes are \(32, 32\).*takes \(64, 64\)"):
        check_sizes(write_clips(runs.parent / "small", wearer, size=32), joint(), runs)
    save_component(runs / "motion-vae", MotionVAE(MotionVAEConfig(widths=(32, 32), latent_dim=8, norm_groups=4)))
    with pytest.raises(EgoTwinError, match=r"motion latents and channels are \(21, 8\).*takes \(21, 64\)"):
        check_sizes(clips, joint(), runs)
