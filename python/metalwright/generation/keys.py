"""Keys of providers: where they come from, and how they stay out of everything that is written."""

from __future__ import annotations

import os
import re

from metalwright.errors import user_error

# Where keys lie in the system's keyring: `keyring set metalwright ANTHROPIC_API_KEY`.
KEYRING_SERVICE = "metalwright"
_HIDDEN = "[key removed]"
_SHAPES = re.compile(
    r"\b(?:sk|rk|pk|key)-[A-Za-z0-9_-]{12,}|(?i:bearer\s+)[A-Za-z0-9._~+/-]{12,}=*"
)

_known: set[str] = set()


def find_key(names: tuple[str, ...]) -> str | None:
    """The first of these keys in the environment, else in the system's keyring, else None."""
    for name in names:
        value = os.environ.get(name, "").strip() or _from_keyring(name)
        if value:
            _refuse_if_workers_see_it(name)
            _known.add(value)
            return value
    return None


def _refuse_if_workers_see_it(name: str) -> None:
    """Workers get an environment without names that look like credentials; this must be one.

    Raises:
        Error: ``bad-key-name``.
    """
    from metalwright.evaluation.launcher import worker_environment

    if name in worker_environment():
        raise user_error("bad-key-name", name=name)


def require_key(provider: str, names: tuple[str, ...]) -> str:
    """The key of a provider.

    Raises:
        Error: ``no-key``.
    """
    value = find_key(names)
    if value is None:
        raise user_error("no-key", provider=provider, names=" or ".join(names))
    return value


def without_keys(text: str) -> str:
    """The text without any key that was read, or that looks like one.

    Everything that comes from a provider's error goes through here before it is kept or shown:
    servers do quote the key that they refuse.
    """
    for value in _known:
        text = text.replace(value, _HIDDEN)
    return _SHAPES.sub(_HIDDEN, text)


def _from_keyring(name: str) -> str:
    try:
        import keyring
    except ImportError:  # an optional extra
        return ""
    try:
        return keyring.get_password(KEYRING_SERVICE, name) or ""
    except Exception:
        # A machine without a keyring service has no key in it; which exception says so depends on
        # the system's back end.
        return ""
