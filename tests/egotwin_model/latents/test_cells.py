"""Maps over pixels as maps over latents."""

from __future__ import annotations

import numpy as np
import pytest

from egotwin_model.latents.cells import cell_sums, latent_visibility


@pytest.mark.parametrize("shape", [(6, 9), (8, 8), (3, 2)])
def test_sums_of_cells_are_kept_whatever_the_size(shape: tuple[int, int]) -> None:
    values = np.random.default_rng(0).random((2, *shape))
    found = cell_sums(values, 3, 4)
    assert found.shape == (2, 3, 4)
    assert np.allclose(found.sum(axis=(-1, -2)), values.sum(axis=(-1, -2)))


def test_cells_that_divide_the_size_are_plain_sums() -> None:
    values = np.arange(48.0).reshape(6, 8)
    assert np.allclose(cell_sums(values, 3, 2), values.reshape(3, 2, 2, 4).sum(axis=(1, 3)))


def test_a_latent_is_as_visible_as_the_pixels_behind_it() -> None:
    seen = np.zeros((9, 4, 4), bool)
    seen[0], seen[1:3, :2], seen[5:] = True, True, True
    found = latent_visibility(seen, 2, 1)
    assert found.shape == (3, 1, 2, 1)
    assert found.dtype == np.float32
    assert np.allclose(found[:, 0, :, 0], [[1, 1], [0.5, 0], [1, 1]])
    assert np.allclose(latent_visibility(seen[None], 2, 1), found[None])
