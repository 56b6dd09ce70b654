"""A synthetic look-alike of Nymeria's ``dataset_metadata.json``: its numbers of people, places and sequences.

The real file is under the data set's licence and is not part of this repository. The names, visits and lengths here are
random. The shape is the published one: 264 people and 50 places, of which 47 are houses that a few people visit each;
an office, a cafe and a park are shared by very many.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

PEOPLE, HOUSES, SEQUENCES = 264, 47, 867
SHARED = {"office": 0.5, "cafe": 0.3, "park": 0.2}  # share of the visits that are not to a house
_AT_SHARED = 0.18  # of all sequences


def write_dataset_metadata(path: Path, seed: int) -> Path:
    """Writes one record for each sequence: `seq`, `fake_name`, `location` and `clips`; the same for a seed."""
    rng = np.random.default_rng(seed)
    houses = np.concatenate([np.arange(HOUSES), rng.integers(0, HOUSES, PEOPLE - HOUSES)])
    people = np.concatenate([np.arange(PEOPLE), rng.integers(0, PEOPLE, SEQUENCES - PEOPLE)])
    rows = []
    for number, person in enumerate(people):
        place = f"house_{houses[person]:02}"
        if number >= PEOPLE and rng.random() < _AT_SHARED:  # everybody's first sequence is in a house
            place = str(rng.choice(list(SHARED), p=list(SHARED.values())))
        elif number >= PEOPLE and rng.random() < 0.03:  # a guest in another house
            place = f"house_{rng.integers(0, HOUSES):02}"
        clips = int(rng.integers(60, 300))
        rows.append({"seq": f"seq_{number:04}", "fake_name": f"person_{person:03}", "location": place, "clips": clips})
    path.write_text(json.dumps(rows, indent=1))
    return path
