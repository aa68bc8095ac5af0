#!/usr/bin/env bash
# Installs a build into an empty folder and uses it there: the program runs, and each public header
# compiles alone. Usage: installed.sh BUILD CXX
set -euo pipefail
prefix=$(mktemp -d)
trap 'rm -rf "$prefix"' EXIT
cmake --install "$1" --prefix "$prefix" >"$prefix/log"
"$prefix/bin/pgforeman" --version
for header in exit_code message outcome version; do
  echo "#include <pgforeman/$header.h>" |
    "$2" -std=c++20 -Wall -Wextra -Wpedantic -Werror -I"$prefix/include" -fsyntax-only -xc++ -
done
# No other header: what lies in src is not public.
test "$(find "$prefix/include" -type f | wc -l)" = 4
