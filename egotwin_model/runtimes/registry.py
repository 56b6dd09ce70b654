"""The one list of runtimes; names, help texts and the choice of "auto" are made from it."""

from __future__ import annotations

import logging
from pathlib import Path

from egotwin_model.errors import ModelError
from egotwin_model.runtimes import onnx_runtime, torch_runtime
from egotwin_model.runtimes.base import Networks, Runtime, RuntimeEntry, RuntimeOptions

log = logging.getLogger(__name__)

AUTO = "auto"
RUNTIMES: dict[str, RuntimeEntry] = {entry.name: entry for entry in (onnx_runtime.ENTRY, torch_runtime.ENTRY)}
"""By name, in the order in which "auto" tries them."""


def runtime_names() -> tuple[str, ...]:
    """What a user may ask for: "auto" and every runtime."""
    return (AUTO, *RUNTIMES)


def describe_runtimes() -> str:
    """One sentence for help texts and parameter descriptions: every name with what it is."""
    described = "; ".join(f"{entry.name}: {entry.description}" for entry in RUNTIMES.values())
    return f"{AUTO}: the first of these that can run the model; {described}"


def resolve_runtime(folder: Path, name: str = AUTO, options: RuntimeOptions | None = None) -> RuntimeEntry:
    """The entry that runs the model in `folder` with these options.

    Raises:
        ModelError: an unknown name, or a runtime that cannot run the model, with the reason.
    """
    options = options or RuntimeOptions()
    if name not in runtime_names():
        raise ModelError(f"runtime {name!r} is not one of {', '.join(runtime_names())}")
    reasons = []
    for entry in RUNTIMES.values() if name == AUTO else (RUNTIMES[name],):
        reason = entry.unavailable(folder, options)
        if reason is None:
            return entry
        reasons.append(f"runtime {entry.name!r} cannot run {folder}: {reason}")
    raise ModelError("; ".join(reasons))


def load_runtime(
    folder: Path, name: str = AUTO, options: RuntimeOptions | None = None, *, networks: Networks
) -> Runtime:
    """The networks in `folder` under the named runtime, or under the first that can run them.

    Args:
        networks: loads the torch modules of the folder's model family, see `base.Networks`.

    Raises:
        ModelError: as `resolve_runtime`, or a damaged folder.
    """
    options = options or RuntimeOptions()
    runtime = resolve_runtime(folder, name, options).load(folder, options, networks)
    log.info("%s runs on %s", folder, runtime.description)
    return runtime
