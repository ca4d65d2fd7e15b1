"""Print the key findings of two runs of the study side by side, as docs/two_seeds.md shows them.

usage: python docs/compare_seeds.py PROJECT OTHER, two folders with reports/findings, the second one of another seed
"""

import sys
from pathlib import Path

from deepfake.project import Project
from deepfake.reports import findings
from deepfake.reports.findings import Finding
from deepfake.studies.summary.page import KEY

OPPOSITES = ({"better", "worse"}, {"shortcut", "no_shortcut"}, {"above_chance", "at_chance"})


def of(root: str) -> tuple[dict[str, Finding], dict[str, Finding]]:
    """Return the key findings and all findings of a project."""
    project = Project(Path(root))
    with project.entered():
        files = sorted(project.findings("summary").parent.glob("*.json"))
        studies = {path.stem: findings.read(path.stem) for path in files}
    key = {f"{name}.{one.id}": one for name, count in KEY.items() for one in studies[name].key[:count]}
    return key, {f"{name}.{id_}": one for name, found in studies.items() for id_, one in found.items()}


def main(first: str, second: str) -> None:
    """Print the table, and how many verdicts changed."""
    sides, every = zip(*(of(root) for root in (first, second)), strict=True)
    print("| Question | Seed 42 | Seed 43 |\n|:--|:--|:--|")
    for name in dict.fromkeys([*sides[0], *sides[1]]):
        pair = [side.get(name) for side in sides]
        question = next(one.question for one in pair if one)
        print(
            f"| {question} | " + " | ".join(f"**{one.verdict}** {one.figures}" if one else "-" for one in pair) + " |"
        )
    undecided = [sum(one.verdict == "undecided" for one in side.values()) for side in sides]
    print(f"\nUndecided: {undecided[0]} and {undecided[1]} of the key findings.")
    for title, (one, other) in (("key findings", sides), ("findings", every)):
        both = [{one[name].verdict, other[name].verdict} for name in one if name in other]
        changed = [pair for pair in both if len(pair) > 1]
        turned = sum(pair in OPPOSITES for pair in changed)
        print(f"\nOf {len(both)} {title} of both runs {len(changed)} changed, {turned} of them to its opposite.")


if __name__ == "__main__":
    main(*sys.argv[1:])
