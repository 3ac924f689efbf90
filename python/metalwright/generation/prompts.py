"""The prompt templates: found, laid over by the user's, identified by their content, filled in."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import DictLoader, Environment, StrictUndefined, TemplateError

from metalwright.errors import user_error
from metalwright.evaluation.model import Evaluation

# Read into the system prompt as they are; which ones depends on what the problem does.
EXAMPLES = ("elementwise", "reduction", "matmul")


class PromptSet:
    """A set of templates. Two sets with the same hash say the same."""

    def __init__(self, templates: Mapping[str, str], folder: Path | None = None) -> None:
        self._templates = dict(templates)
        self._folder = folder
        self._environment = Environment(
            loader=DictLoader(self._templates),
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
            # What is filled in is code and goes to a model, not to a browser.
            autoescape=False,
        )
        self._environment.filters.update(
            seconds=seconds_text, filesize=bytes_text, cut=cut_text, hashline=str
        )

    @property
    def hash(self) -> str:
        """SHA-256 over all names and texts."""
        digest = hashlib.sha256()
        for name, text in sorted(self._templates.items()):
            digest.update(f"{name}\0{len(text)}\0{text}".encode())
        return digest.hexdigest()

    def example(self, name: str) -> str:
        """The text of an example."""
        return self._templates[f"examples/{name}.py"]

    def render(self, name: str, **values: Any) -> str:
        """Fills a template in.

        Raises:
            Error: ``bad-prompt``: a template of the user's is wrong.
        """
        try:
            text = self._environment.get_template(f"{name}.md.j2").render(**values)
        except TemplateError as error:
            file = getattr(error, "name", None) or f"{name}.md.j2"
            path = (self._folder or Path("prompts")) / file
            line = getattr(error, "lineno", None)
            reason = f"line {line}: {error}" if line else str(error)
            raise user_error("bad-prompt", path=path, reason=reason) from None
        return _tidy(text)

    def feedback(self, evaluation: Evaluation, remarks: Sequence[str] = ()) -> str:
        """What the judge found, for the next attempt. It holds no seed and no expected output
        but the few values of a mismatch.
        """
        flags = [flag.value for flag in evaluation.flags]
        return self.render("feedback", e=evaluation, flags=flags, remarks=remarks).strip()


def load_prompts(folder: Path | None = None) -> PromptSet:
    """The package's templates, with those of `folder` in the place of those of the same name.

    Raises:
        Error: ``no-such-path``, ``unreadable-file``, ``bad-prompt``: a file that replaces nothing.
    """
    templates = _read(package_folder())
    if folder is not None:
        if not folder.is_dir():
            raise user_error("no-such-path", path=folder)
        own = _read(folder)
        for name in own:
            if name not in templates:
                names = ", ".join(sorted(templates))
                raise user_error(
                    "bad-prompt", path=folder / name, reason=f"replaces none of {names}"
                )
        templates |= own
    return PromptSet(templates, folder)


def package_folder() -> Path:
    """Where the package's templates are: in the wheel beside the code, in a clone at its top."""
    package = Path(__file__).resolve().parent.parent
    for folder in (package / "prompts", package.parent.parent / "prompts"):
        if folder.is_dir():
            return folder
    raise FileNotFoundError(f"no prompts beside {package}: the installation is not whole")


def _read(folder: Path) -> dict[str, str]:
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.suffix in (".j2", ".py"):
            try:
                text = path.read_text("utf-8")
            except (OSError, UnicodeDecodeError) as error:
                raise user_error("unreadable-file", path=path, reason=error) from None
            found[path.relative_to(folder).as_posix()] = text
    return found


def _tidy(text: str) -> str:
    """No blank lines at the ends, and never more than two in a row."""
    lines = [line.rstrip() for line in text.strip("\n").split("\n")]
    kept: list[str] = []
    for line in lines:
        if line or len(kept) < 2 or kept[-1] or kept[-2]:
            kept.append(line)
    return "\n".join(kept) + "\n"


def seconds_text(seconds: float) -> str:
    """``1.25 ms``."""
    for unit, scale in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6)):
        if seconds >= scale:
            return f"{seconds / scale:.3g} {unit}"
    return f"{seconds * 1e9:.3g} ns"


def bytes_text(count: float) -> str:
    """``1.5 MB``."""
    for unit, scale in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= scale:
            return f"{count / scale:.3g} {unit}"
    return f"{count:g} bytes"


def cut_text(text: str, length: int) -> str:
    """The text, or its beginning and end."""
    if len(text) <= length:
        return text
    half = length // 2
    return f"{text[:half]}\n... {len(text) - 2 * half} characters left out ...\n{text[-half:]}"
