"""Files that appear whole or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def write_whole(path: Path, text: str, errors: str = "strict") -> Path:
    """Writes a text beside its place and renames it; `errors` is for what UTF-8 cannot say."""
    descriptor, partial = tempfile.mkstemp(prefix=".partial-", dir=path.parent)
    try:
        with open(descriptor, "w", encoding="utf-8", errors=errors) as file:
            file.write(text)
        os.chmod(partial, 0o644)
        os.replace(partial, path)
    except BaseException:
        os.unlink(partial)
        raise
    return path
