"""Prints what building, running, testing and developing the package needs, one line each."""

from __future__ import annotations

import re
from pathlib import Path

try:
    import tomllib
except ModuleNotFoundError:  # Python 3.10: pip carries a copy of the same parser
    from pip._vendor import tomli as tomllib  # type: ignore[no-redef]


def main() -> None:
    """Reads pyproject.toml, which stays the only list."""
    with (Path(__file__).resolve().parent.parent / "pyproject.toml").open("rb") as file:
        configuration = tomllib.load(file)
    project = configuration["project"]
    requirements = [*configuration["build-system"]["requires"], *project["dependencies"]]
    for extra in project["optional-dependencies"].values():
        requirements += extra
    for requirement in sorted(set(requirements), key=lambda text: re.split(r"[<>=!~ ]", text)[0]):
        print(requirement)


if __name__ == "__main__":
    main()
