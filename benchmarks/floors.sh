#!/usr/bin/env bash
# All lower bounds of pyproject.toml installed together, and the tests run with them. Not part of CI: it downloads much.
#
#     benchmarks/floors.sh [FOLDER] [arguments of pytest]
#
# FOLDER is where the environment is made and kept (a temporary one without it).
set -euo pipefail
cd "$(dirname "$0")/.."
environment=${1:-$(mktemp -d)}
shift || true
python3.11 -m venv "$environment" || python3 -m venv "$environment"
export PATH="$environment/bin:$PATH" VIRTUAL_ENV="$environment"

# "name>=version" of all groups becomes "name==version"; exact versions, which belong to the shipped weights, become the
# lower bound of the same package; what only checks the code is left out
python - > "$environment/floors.txt" <<'PYTHON'
import re
import tomllib

project = tomllib.load(open("pyproject.toml", "rb"))["project"]
floors = {}
for group in [project["dependencies"], *project["optional-dependencies"].values()]:
    for requirement in group:
        found = re.match(r"([\w.-]+(?:\[[\w,-]+\])?)\s*>=\s*([\w.]+)$", requirement)
        if found and found[1] not in ("mypy", "ruff"):  # of two bounds the higher one; torch's is that of the exports
            floors[found[1]] = max(floors.get(found[1], "0"), found[2], key=lambda v: [int(n) for n in v.split(".")])
floors["torchaudio"] = floors["torch"]
print("\n".join(f"{name}=={version}" for name, version in floors.items()))
PYTHON
cat "$environment/floors.txt"
pip install --quiet -r "$environment/floors.txt"
pip install --quiet --no-deps -e .
python -m pytest -n0 "$@"
