#!/usr/bin/env python3
"""exec handler: counts the words of a text. One process per message.

  pgforeman send words '{"text": "so many words"}'
  PGFOREMAN_QUEUE=words PGFOREMAN_HANDLER='python3 examples/python/exec_handler.py' pgforeman run
"""

import json
import os
import sys

DEAD = 65  # no retry can help

payload = json.load(sys.stdin)
if not isinstance(payload, dict) or not isinstance(payload.get("text"), str):
    print('the payload must be {"text": "..."}', file=sys.stderr)
    sys.exit(DEAD)

# An uncaught exception exits with 1: a retry, with the traceback as the error.
print(json.dumps({
    "message": int(os.environ["PGFOREMAN_MESSAGE_ID"]),
    "words": len(payload["text"].split()),
}))
