"""Searches for splits with the wanted shares in which no person and no place occurs twice.

People and places are the nodes of a bipartite graph and sequences are its edges. Each node gets a split. A sequence
whose person and place have different splits is left out. Simulated annealing looks for the labels that reach the shares
and leave out the least.
"""

from __future__ import annotations

import math
import random
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

SHARE_COST = 0.75  # of the sum of the shares' errors, in units of the share of clips that is left out
_RESTARTS, _STEPS_PER_NODE = 3, 200
_HOT, _COLD = 0.01, 0.00003  # cost differences accepted at the first and the last step


@dataclass(frozen=True)
class Edge:
    """The sequences of one person in one place: indices of both nodes, and their clips."""

    person: int
    place: int
    clips: float


class SplitSearch:
    """The graph, a label for each node, and the clips that each split keeps.

    Args:
        edges: clips by the names of two nodes, in any order.
        targets: wanted share of clips by split; splits with share 0 are not used.
        fixed: splits of nodes that must keep them.
    """

    def __init__(
        self, edges: Mapping[tuple[str, str], float], targets: Mapping[str, float], fixed: Mapping[str, str]
    ) -> None:
        self.names = sorted({name for pair in edges for name in pair} | set(fixed))
        index = {name: number for number, name in enumerate(self.names)}
        self.splits = list(targets)
        self.targets = list(targets.values())
        self.allowed = [number for number, share in enumerate(self.targets) if share > 0]
        self.edges = [Edge(index[one], index[other], clips) for (one, other), clips in sorted(edges.items())]
        self.total = sum(edge.clips for edge in self.edges) or 1.0
        self.at: dict[int, list[Edge]] = defaultdict(list)
        for edge in self.edges:
            self.at[edge.person].append(edge)
            if edge.place != edge.person:
                self.at[edge.place].append(edge)
        self.fixed = {index[name] for name in fixed}
        largest = max(self.allowed, key=lambda number: self.targets[number])
        self.labels = [self.splits.index(fixed[name]) if name in fixed else largest for name in self.names]
        self.kept = [0.0] * len(self.splits)
        for edge in self.edges:
            self._count(edge, 1)

    def run(self, seed: int) -> dict[str, str]:
        """The best labels found, by name; the same for the same graph and seed."""
        random_numbers = random.Random(seed)
        free = [node for node in range(len(self.names)) if node not in self.fixed and self._clips(node) > 0]
        found = [(self.cost(), list(self.labels))]
        if free and len(self.allowed) > 1:
            found += [self._anneal(random_numbers, free) for _ in range(_RESTARTS)]
        _, best = min(found, key=lambda pair: pair[0])
        return {name: self.splits[label] for name, label in zip(self.names, best, strict=True)}

    def _anneal(self, random_numbers: random.Random, free: list[int]) -> tuple[float, list[int]]:
        """The lowest cost of one run over the nodes `free`, and its labels."""
        groups, steps = self._groups(), _STEPS_PER_NODE * len(free)
        cost = self.cost()
        best, lowest = list(self.labels), cost
        for step in range(steps):
            temperature = _HOT * (_COLD / _HOT) ** (step / steps)
            node, label = random_numbers.choice(free), random_numbers.choice(self.allowed)
            nodes = groups[node] if random_numbers.random() < 0.5 else [node]
            before = [(moved, self.labels[moved]) for moved in nodes if self.labels[moved] != label]
            for moved, _ in before:
                self._move(moved, label)
            after = self.cost()
            if after <= cost or random_numbers.random() < math.exp((cost - after) / temperature):
                cost = after
                if cost < lowest - 1e-12:
                    best, lowest = list(self.labels), cost
            else:
                for moved, old in reversed(before):
                    self._move(moved, old)
        return lowest, best

    def cost(self) -> float:
        """Share of clips left out, and the errors of the splits' shares times `SHARE_COST`."""
        kept = sum(self.kept)
        if kept <= 0:
            return 2.0 * (1.0 + SHARE_COST)
        error = sum(abs(part / kept - target) for part, target in zip(self.kept, self.targets, strict=True))
        return 1.0 - kept / self.total + SHARE_COST * error

    def _groups(self) -> list[list[int]]:
        """Each node with the nodes that have most of their clips with it: they are best moved together."""
        groups = [[node] for node in range(len(self.names))]
        for node in range(len(self.names)):
            if node in self.fixed or self._clips(node) == 0:
                continue
            most = max(self.at[node], key=lambda edge: edge.clips)
            other = most.place if most.person == node else most.person
            if other != node:
                groups[other].append(node)
        return groups

    def _clips(self, node: int) -> float:
        return sum(edge.clips for edge in self.at[node])

    def _move(self, node: int, label: int) -> None:
        for edge in self.at[node]:
            self._count(edge, -1)
        self.labels[node] = label
        for edge in self.at[node]:
            self._count(edge, 1)

    def _count(self, edge: Edge, sign: int) -> None:
        if self.labels[edge.person] == self.labels[edge.place]:
            self.kept[self.labels[edge.person]] += sign * edge.clips
