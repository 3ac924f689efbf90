"""The JSON schema of an evaluation: `python -m metalwright.evaluation.schema` prints it."""

from __future__ import annotations

import json

from metalwright.evaluation.model import Evaluation


def schema_text() -> str:
    """The schema as it stands in docs/evaluation-schema.json."""
    schema = Evaluation.model_json_schema(mode="serialization")
    return json.dumps(schema, indent=2, sort_keys=True) + "\n"


if __name__ == "__main__":
    print(schema_text(), end="")
