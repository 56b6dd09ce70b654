"""The motion representation of a run: its kind is the recipe's, its skeleton is the clips'. Kept beside stage 1."""

from __future__ import annotations

from pathlib import Path

from egotwin_model.errors import ModelError
from egotwin_model.io.files import read_json, write_json
from egotwin_model.motion.head_centric import HeadCentric
from egotwin_model.motion.representation_kinds import read_representation, representation_of
from egotwin_model.motion.root_centric import RootCentric
from training.datasets.clips.dataset import ClipSet, skeleton_of
from training.stages.recipes import MotionVAERecipe
from training.stages.run_folder import REPRESENTATION, motion_vae_folder


def clips_representation(clips: ClipSet, kind: str) -> HeadCentric | RootCentric:
    """The representation of a kind for the bodies of these clips."""
    return representation_of(kind, skeleton_of(clips))


def save_representation(folder: Path, representation: HeadCentric | RootCentric) -> None:
    """Writes the representation beside a motion VAE."""
    write_json(folder / REPRESENTATION, representation.describe())


def trained_representation(runs: Path, kind: str) -> HeadCentric | RootCentric:
    """The representation that stage 1 was trained in; of the Xsens body where its folder does not say."""
    path = motion_vae_folder(runs, kind) / REPRESENTATION
    return read_representation(read_json(path) if path.is_file() else {"kind": kind})


def check_representation(clips: ClipSet, runs: Path, kind: str) -> None:
    """`ModelError` where the clips' skeleton is another than the motion VAE was trained on."""
    here, trained = clips_representation(clips, kind), trained_representation(runs, kind)
    if here == trained:
        return
    own = sorted(set(here.joint_names) - set(trained.joint_names))
    lacking = sorted(set(trained.joint_names) - set(here.joint_names))
    differ = [f"it has {', '.join(own)}"] if own else []
    differ += [f"it lacks {', '.join(lacking)}"] if lacking else []
    raise ModelError(
        f"the body of {clips.folder} has {here.num_joints} joints, that of {motion_vae_folder(runs, kind)} "
        f"{trained.num_joints} ({'; '.join(differ) or 'the same, with other parents, order, head or feet'}); train "
        "motion-vae on these clips in another --runs folder"
    )


def check_feature_dim(clips: ClipSet, recipe: MotionVAERecipe) -> None:
    """`ModelError` where the recipe's motion VAE takes another number of features than these bodies have."""
    representation = clips_representation(clips, recipe.representation)
    if representation.dim != recipe.model.feature_dim:
        raise ModelError(
            f"a body of {representation.num_joints} joints has {representation.dim} {recipe.representation} features, "
            f"but this configuration's motion VAE takes {recipe.model.feature_dim}; pass --model.feature-dim "
            f"{representation.dim}"
        )
