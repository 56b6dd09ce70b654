"""docs/model.md against the code: its numbers, its figures, and the files, tests and names it points to."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import numpy as np
import pytest

from docs import figures
from egotwin_model.diffusion.attention.attend import interaction_mask
from egotwin_model.egotwin.config import EgoTwinConfig
from egotwin_model.egotwin.transformer import EgoTwinTransformer

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "model.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def paper() -> EgoTwinTransformer:
    return figures.build(EgoTwinConfig.paper())


def test_the_numbers_are_the_models(paper: EgoTwinTransformer) -> None:
    assert figures.numbers_table(paper) in PAGE, "run python -m docs.figures"


def test_the_runtimes_are_the_registrys() -> None:
    assert figures.runtimes_table() in PAGE, "run python -m docs.figures"


def test_the_mask_figure_shows_the_mask() -> None:
    """The figure's cells are the mask: open cells and pairs are open; pairs are between video and motion alone."""
    cells = figures.mask_cells(2, 11, 21)
    assert np.array_equal(cells != figures.BLOCKED, interaction_mask(2, 11, 1, 21).numpy())
    rows, columns = np.nonzero(cells == figures.PAIR)
    assert {(r < 13, c < 13) for r, c in zip(rows, columns, strict=True)} == {(True, False), (False, True)}
    assert min(*rows, *columns) == 2


def test_the_figures_are_drawn_from_the_code(paper: EgoTwinTransformer, tmp_path: Path) -> None:
    """The diagram's labels follow the configuration: another model, another diagram."""
    narrow = figures.build(EgoTwinConfig.mini())
    texts = []
    for model in (paper, narrow):
        figure = figures.draw_branches(model)
        texts.append(" ".join(text.get_text() for text in figure.axes[0].texts))
        figures.save(figure, tmp_path / "branches.png")
    assert "10147 tokens, 48 heads × 64" in texts[0]
    assert "21 × block with a motion side" in texts[0]
    assert "3 × block with a motion side" in texts[1]
    assert "gate per head" in texts[0]
    assert "gate per head" not in texts[1]
    assert (tmp_path / "branches.png").stat().st_size > 10_000


def test_what_the_page_names_exists() -> None:
    named = [name for name in re.findall(r"`([\w/]+\.py)`", PAGE) if not name.startswith("tests/")]
    assert len(named) > 30
    for name in named:
        assert (ROOT / "egotwin_model" / name).is_file(), name
    for name in re.findall(r"!\[.*?\]\((.+?)\)", PAGE):
        assert (ROOT / "docs" / name).is_file(), name
    file, count = "", 0
    for path, test in re.findall(r"`(tests/[\w/]+\.py)?::(\w+)`", PAGE):
        file = path or file
        tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
        assert test in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}, f"{file}::{test}"
        count += 1
    assert count > 30
