#!/bin/sh
# exec handler: counts the words of a file. The payload is its path, a JSON string:
#
#   pgforeman send words '"README.md"'
#   PGFOREMAN_QUEUE=words PGFOREMAN_HANDLER=examples/shell/word_count.sh pgforeman run
#
# What it prints is the result; the exit code says what becomes of the message.
set -eu

dead() { # no retry can help: 65
  echo "$1" >&2
  exit 65
}

payload=$(cat)
case $payload in
  *\\*) dead "escapes in a path are more than this example understands: $payload" ;;
  '"'?*'"') path=${payload#\"} ;;
  *) dead "the payload must be a path in quotes, not $payload" ;;
esac
path=${path%\"}

# Not there yet? Any other code than 0, 65 and 100 is a retry.
[ -r "$path" ] || { echo "attempt $PGFOREMAN_ATTEMPT: cannot read $path" >&2; exit 1; }

wc -w <"$path"
