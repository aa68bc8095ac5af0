#!/usr/bin/env python3
"""jsonl handler with nothing but the standard library: one process for many messages.

  pgforeman send words '{"path": "README.md"}'
  PGFOREMAN_QUEUE=words PGFOREMAN_HANDLER_MODE=jsonl \\
    PGFOREMAN_HANDLER='python3 examples/python/jsonl_handler.py' pgforeman run
"""

import json
import sys

# Standard output belongs to the answers: a stray print() would break the contract, so it goes to
# standard error, which pgforeman logs.
answers, sys.stdout = sys.stdout, sys.stderr


class Dead(Exception):
    """No retry can help."""


class Retry(Exception):
    """Later. `after` is a number of seconds or text such as "5s"."""

    def __init__(self, error, after=None):
        super().__init__(error)
        self.after = after


def handle(message):
    """The work. What it returns is the result; it must be JSON."""
    payload = message["payload"]
    if not isinstance(payload, dict) or not isinstance(payload.get("path"), str):
        raise Dead('the payload must be {"path": "..."}')
    try:
        with open(payload["path"], encoding="utf-8") as file:
            return {"words": sum(len(line.split()) for line in file)}
    except FileNotFoundError as error:
        raise Retry(f"not there yet: {error.filename}", after="30s") from error


def answer_to(message):
    try:
        return {"status": "done", "result": handle(message)}
    except Dead as error:
        return {"status": "dead", "error": str(error)}
    except Retry as error:
        return {"status": "retry", "error": str(error), "after": error.after}
    except Exception as error:  # a bug or an outage: pgforeman backs off and tries again
        return {"status": "retry", "error": f"{type(error).__name__}: {error}"}


for line in sys.stdin:  # ends when pgforeman closes it
    request = json.loads(line)
    answer = {"id": request["id"], **answer_to(request)}
    # Without the flush the answer waits in a buffer until the message times out.
    print(json.dumps(answer), file=answers, flush=True)
