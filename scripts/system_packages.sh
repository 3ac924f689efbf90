#!/bin/sh
# Makes sure that the compiler, LLVM and Clang are installed. Through apt where it exists and the user
# may use it; otherwise says what is missing. Does nothing, quickly, if nothing is missing.
set -eu

packages="g++ make git ccache cmake ninja-build python3-dev python3-venv
          clang-19 libclang-19-dev llvm-19-dev clang-format-19 zlib1g-dev libzstd-dev
          gobjc++ libgnustep-base-dev
          chromium chromium-driver fonts-dejavu-core"

if ! command -v dpkg-query >/dev/null 2>&1; then
    for tool in c++ cmake ninja git; do
        command -v "$tool" >/dev/null 2>&1 || missing="${missing:-} $tool"
    done
    if [ -n "${missing:-}" ]; then
        echo "missing:$missing" >&2
        echo "Install a C++20 compiler, CMake 3.25 or newer, ninja, and LLVM and Clang 19, 20 or 21 with headers." >&2
        exit 1
    fi
    exit 0
fi

missing=""
for package in $packages; do
    status=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
    [ "$status" = installed ] || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" = 0 ]; then
    as_root=""
elif command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then
    as_root="sudo -n"
else
    echo "These packages are missing and this user may not install them. Run, as root:" >&2
    echo "  apt-get install$missing" >&2
    exit 1
fi

echo "installing:$missing"
export DEBIAN_FRONTEND=noninteractive
$as_root apt-get update -qq
# shellcheck disable=SC2086  # the list is meant to be split
$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing
