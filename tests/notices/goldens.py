"""The kept texts of some notices. `python -m tests.notices.goldens` writes them again; read the difference."""

from pathlib import Path
from typing import Final

from meter.notify.render import render
from meter.notify.samples import RECIPIENT, SENDER, sample

FOLDER: Final = Path(__file__).parent / "golden"

NAMES: Final = (
    "purchase",
    "low-balance",
    "wire-instructions",
    "free-exhausted-workspace",
    "upgrade-decided",
    "support-renewal",
    "invitation",
)


def rendered(name: str) -> str:
    """Subject and text of the sample of a notice."""
    found = render(sample(name), RECIPIENT, SENDER)
    return f"Subject: {found.subject}\n\n{found.text}"


def main() -> None:
    """Write all kept texts again."""
    for name in NAMES:
        (FOLDER / f"{name}.txt").write_text(rendered(name), encoding="utf-8")


if __name__ == "__main__":
    main()
