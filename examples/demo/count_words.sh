#!/bin/sh
# The handler of tools/demo: checksums and counts a file, and misbehaves when it is told to.
#
# The payload comes on standard input, as {"task": ..., "path": ...}. Exit code 0 is done, any other
# is "try again later"; what stands on standard error becomes the message's last error.
set -eu

payload=$(cat)
field() { printf '%s\n' "$payload" | sed -n "s/.*\"$1\": \"\([^\"]*\)\".*/\1/p"; }

case $(field task) in
  count) ;;
  count-at-second-try)
    if [ "$PGFOREMAN_ATTEMPT" = 1 ]; then
      echo "the first try fails, as it was told to" >&2
      exit 1
    fi ;;
  fail)
    echo "attempt $PGFOREMAN_ATTEMPT of a message that never works" >&2
    exit 1 ;;
  kill-the-worker)
    echo "killed $(date +%s%3N)" >>"$DEMO_RESULTS"
    kill -9 "$PPID" ;;
  *)
    echo "no such task: $payload" >&2
    exit 65 ;;  # dead at once: another try cannot help
esac

path=$(field path)
sum=$(sha256sum <"$path")
words=$(wc -w <"$path")
# One short write to a file opened for appending is whole, whoever else writes.
printf 'counted %s %s %s\n' "${sum%% *}" "$words" "$path" >>"$DEMO_RESULTS"
echo "$words words"
