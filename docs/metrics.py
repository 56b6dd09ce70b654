"""The list of metrics in docs/evaluation.md, from the catalogue that the report is made of.

    python -m docs.metrics

writes the table between the page's two `metrics` marks.
"""

from __future__ import annotations

from pathlib import Path

from egotwin_model.io.files import write_text
from training.evaluation.metrics import catalogue
from training.evaluation.metrics.metric_family import MetricFamily

PAGE = Path(__file__).resolve().parent / "evaluation.md"
MARKS = ("<!-- metrics: begin (python -m docs.metrics) -->", "<!-- metrics: end -->")


def table() -> str:
    """A row for each family of metrics, in the report's order."""
    head = ["| metric | what it is | definition | code |", "|---|---|---|---|"]
    return "\n".join(head + [_row(family) for family in catalogue.FAMILIES])


def _row(family: MetricFamily) -> str:
    modules = dict.fromkeys(formula.__module__.rpartition(".")[2] for formula in family.formulas)
    code = ", ".join(f"`{module}.py`" for module in modules)
    return f"| {family.title} | {family.meaning} | {family.source} | {code} |"


def replaced(page: str) -> str:
    """The page with the table written again."""
    begin, end = (page.index(mark) for mark in MARKS)
    return page[: begin + len(MARKS[0])] + "\n" + table() + "\n" + page[end:]


def main() -> None:
    write_text(PAGE, replaced(PAGE.read_text(encoding="utf-8")))


if __name__ == "__main__":
    main()
