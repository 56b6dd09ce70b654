"""README's figures are the shipped model's own, as its manifest keeps them."""

from __future__ import annotations

import copy

from docs import results
from egotwin_model.io.files import read_json

PAGE = (results.ROOT / "README.md").read_text(encoding="utf-8")
MANIFEST = read_json(results.MODEL / "manifest.json")


def test_readme_has_the_manifests_figures() -> None:
    assert results.replaced(PAGE, MANIFEST) == PAGE, "run python -m docs.results"


def test_every_row_comes_from_the_manifest() -> None:
    """Other figures, other rows: nothing in the table is typed in but what is wanted."""
    other = copy.deepcopy(MANIFEST)
    for group in other["metrics"].values():
        for figure in group.values() if isinstance(group, dict) else ():
            figure.update(dict.fromkeys(("value", "low", "high"), 0.123))
    rows, others = (
        [line.split(" | ")[-1] for line in results.block(manifest).splitlines() if line.startswith("| ")]
        for manifest in (MANIFEST, other)
    )
    assert len(rows) == len(others) > 25
    assert not set(rows[1:]) & set(others[1:])
