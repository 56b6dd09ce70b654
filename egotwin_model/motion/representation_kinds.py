"""The motion representations by the name that configurations give them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from egotwin_model.errors import ModelError
from egotwin_model.geometry.skeleton import XSENS, Skeleton
from egotwin_model.motion.head_centric import HeadCentric
from egotwin_model.motion.root_centric import RootCentric

REPRESENTATIONS = {kind.kind: kind for kind in (HeadCentric, RootCentric)}


def representation_of(kind: str, skeleton: Skeleton = XSENS) -> HeadCentric | RootCentric:
    """The representation of a kind, "head-centric" or "root-centric", for bodies with this skeleton.

    Raises:
        ModelError: an unknown kind.
    """
    description = {"joint_names": skeleton.joint_names, "parents": skeleton.parents, "head": skeleton.head}
    if kind == RootCentric.kind:
        description["feet"] = skeleton.feet
    return read_representation({"kind": kind, **description})


def read_representation(description: Mapping[str, Any]) -> HeadCentric | RootCentric:
    """What `describe` wrote; only "kind" ("head-centric" or "root-centric") is needed, the skeleton defaults to Xsens.

    Raises:
        ModelError: an unknown kind or setting. PoseError: an impossible skeleton.
    """
    settings = {name: value for name, value in description.items() if name != "kind"}
    if description.get("kind") not in REPRESENTATIONS:
        raise ModelError(
            f"motion representation {description.get('kind')!r}: wanted one of {', '.join(REPRESENTATIONS)}"
        )
    try:
        return REPRESENTATIONS[description["kind"]](**settings)
    except TypeError as error:
        raise ModelError(f"motion representation {description['kind']}: {error}") from error
