"""Renders the modules of `inductor_modules`: ``python -m corpora.render_inductor OUTPUT.json``.

In a process of its own, since the generator changes global torch state.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from corpora.inductor_modules import CASES
from metalwright.errors import Error
from metalwright.generation.inductor_worker import generate


def main() -> None:
    rendered: dict[str, Any] = {}
    for case in CASES:
        module, inputs = case.make()
        try:
            candidate = generate(module, inputs, case.name)
        except Error as error:
            rendered[case.name] = {"error": f"{error.code}: {error}"}
            continue
        rendered[case.name] = {
            "source": candidate.source,
            "kernels": dict(candidate.kernels),
            "notes": list(candidate.notes),
        }
    Path(sys.argv[1]).write_text(json.dumps(rendered), "utf-8")


if __name__ == "__main__":
    main()
