# Building for tools: source it, then `build PRESET TESTS [TARGET [CMAKE_OPTION...]]`, with TESTS ON
# or OFF. With unity=ON each target is compiled as one file, whatever the preset says: for time.
# Quiet but for a line of progress on a terminal; what the compiler said is shown when it fails.

build() {
  local preset=$1 tests=$2 target=${3:-all} log line
  shift $(($# < 3 ? $# : 3))
  mkdir -p build
  log=build/$preset.log
  cmake --preset "$preset" -DPGFOREMAN_TESTS="$tests" \
    ${unity:+-DCMAKE_UNITY_BUILD="$unity" -DCMAKE_UNITY_BUILD_BATCH_SIZE=0} "$@" >"$log" 2>&1 ||
    { cat "$log" >&2; return 1; }
  if [ -t 1 ]; then
    # Not a terminal to ninja: it then writes a line a step.
    if cmake --build "build/$preset" --target "$target" 2>&1 | tee "$log" |
      while read -r line; do
        case $line in \[*/*\]*) printf '\r\033[K  building %s %s]' "$preset" "${line%%]*}" ;; esac
      done
    then
      printf '\r\033[K'
      return 0
    fi
    echo
  elif cmake --build "build/$preset" --target "$target" >"$log" 2>&1; then
    return 0
  fi
  grep -vE '^\[[0-9]+/[0-9]+\] (Building|Linking)' "$log" | tail -n 60 >&2
  echo "building $preset failed; all of it is in $log" >&2
  return 1
}
