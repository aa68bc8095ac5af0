#!/usr/bin/env python3
"""Sends through clients of four languages, and looks at what has arrived. See README.md.

  run.py BINARY [LANGUAGE...]     (python node go java; all of them without)

Each language's program prints a line for each client and form: CLIENT, FORM, and "ok" or the error,
with tabs between them. It finds the database by PGHOST and so on, and its payload in
CLIENTS_PAYLOAD, in which CLIENT and FORM are to be replaced. Exits 1 when a form fails or arrives
as something else, 2 when a language cannot be tried, 0 otherwise.
"""
import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "bench"))
from runner.server import Psql, Server  # noqa: E402

CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache"))
FOLDER = CACHE / "pgforeman-clients"
TEXT = 'Zoë said "\\": 😀'
PAYLOAD = ('{"client": "CLIENT", "form": "FORM",  "amount": 1.50, "text": '
           + json.dumps(TEXT, ensure_ascii=False) + "}")
FORMS = {
    "literal": "a string in the statement's text",
    "untyped": "a parameter without a type, or with the one that the server infers",
    "text": "a parameter of type text",
    "json": "a JSON value of the client's, as json",
    "jsonb": "the same, as jsonb",
    "built": "json_build_object(...)",
    "named": "named arguments: queue, payload, priority, delay, headers",
    "object": "an object as an untyped parameter (pg alone makes JSON of it)",
    "batch": "send_batch with an array of texts",
    "batch_untyped": "send_batch with an array without a type: of PostgreSQL or of JSON",
}
# These arrive letter by letter; the others have been through the client's or the server's own JSON.
AS_SENT = {"literal", "untyped", "text", "named", "batch", "batch_untyped"}
CLIENTS = {"python": ["psycopg", "psycopg2", "asyncpg"], "node": ["pg", "postgres.js"],
           "go": ["pgx", "lib/pq"], "java": ["pgjdbc"]}


class Missing(Exception):
    """A language cannot be tried here; the text says why."""


def call(words, folder, env=None):
    try:
        run = subprocess.run([str(w) for w in words], cwd=folder, env=env, text=True, timeout=600,
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    except FileNotFoundError:
        raise Missing(f"{words[0]} is not installed") from None
    except subprocess.TimeoutExpired:
        raise Missing(f"not over in 10 minutes: {words[0]}") from None
    if run.returncode != 0:
        raise Missing(f"{words[0]} failed: " + " ".join((run.stderr or run.stdout).split())[-600:])
    return run.stdout


def copied(language):
    """Where the packages are put beside the program, outside the source tree."""
    folder = FOLDER / language
    folder.mkdir(parents=True, exist_ok=True)
    for path in (HERE / language).iterdir():
        shutil.copy(path, folder)
    return folder


def python(env):
    folder = copied("python")
    interpreter = folder / "venv/bin/python"
    if not interpreter.exists():
        call([sys.executable, "-m", "venv", "venv"], folder)
    call([interpreter, "-m", "pip", "install", "-q", "-r", "requirements.txt"], folder)
    return call([interpreter, "clients.py"], folder, env)


def node(env):
    folder = copied("node")
    call(["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--no-package-lock"],
         folder)
    return call(["node", "clients.js"], folder, env)


def go(env):
    folder = copied("go")
    call(["go", "build", "-o", "clients", "."], folder)
    return call([folder / "clients"], folder, env)


def java(env):
    folder = copied("java")
    call(["mvn", "-q", "-B", "dependency:copy-dependencies", "-DoutputDirectory=jars"], folder)
    return call(["java", "-Dfile.encoding=UTF-8", "-Dstdout.encoding=UTF-8", "-cp", "jars/*",
                 "Clients.java"], folder, env)


LANGUAGES = {f.__name__: f for f in (python, node, go, java)}


def free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return str(taken.getsockname()[1])


def arrived(psql):
    """(client, form) -> the payloads' texts."""
    found = {}
    for row in psql("select payload->>'client', payload->>'form', payload::text"
                    " from pgforeman.message"):
        found.setdefault((row[0], row[1]), []).append(row[2])
    return found


def verdict(client, form, said, texts):
    if said != "ok":
        return said
    sent = PAYLOAD.replace("CLIENT", client).replace("FORM", form)
    if len(texts) != (2 if form.startswith("batch") else 1):
        return f"{len(texts)} messages have arrived"
    for text in texts:
        if json.loads(text) != json.loads(sent):
            return f"has arrived as {text}"
        if form in AS_SENT and text != sent:
            return f"is not as it was sent: {text}"
    return "ok"


def main(words):
    if not words or words[0].startswith("-") or not set(words[1:]) <= set(LANGUAGES):
        print(__doc__, file=sys.stderr)
        return 64
    port, failed, missing = free_port(), [], []
    table = {}
    with tempfile.TemporaryDirectory() as folder, \
            Server(folder, {"listen_addresses": "127.0.0.1", "port": port,
                            "shared_buffers": "64MB"}) as server:
        os.chmod(folder, 0o755)
        env = {k: v for k, v in os.environ.items() if not k.startswith(("PG", "PGFOREMAN_"))}
        env |= {"PGHOST": "127.0.0.1", "PGPORT": port, "PGUSER": "postgres", "PGSSLMODE": "disable",
                "PGDATABASE": "postgres", "CLIENTS_PAYLOAD": PAYLOAD, "CLIENTS_TEXT": TEXT}
        call([words[0], "migrate"], folder, env)
        psql = Psql(server, "postgres")
        for language in words[1:] or LANGUAGES:
            try:
                lines = LANGUAGES[language](env).splitlines()
            except Missing as problem:
                missing.append(f"{language} ({', '.join(CLIENTS[language])}): {problem}")
                continue
            found = arrived(psql)
            for client, form, said in (line.split("\t") for line in lines):
                table[client, form] = verdict(client, form, said, found.get((client, form), []))
            for client in CLIENTS[language]:
                for form in FORMS:
                    if form != "object" or client == "pg":
                        table.setdefault((client, form), "was not tried")
        psql.close()
    print("| client | " + " | ".join(FORMS) + " |\n|" + "---|" * (len(FORMS) + 1))
    for client in dict.fromkeys(client for client, _ in table):
        cells = [{"ok": "ok", None: ""}.get(table.get((client, form)), "FAILED") for form in FORMS]
        print(f"| {client} | " + " | ".join(cells) + " |")
    failed = [(key, said) for key, said in table.items() if said != "ok"]
    for (client, form), said in failed:
        print(f"{client}, {form}: {said}")
    for text in missing:
        print(f"NOT TRIED: {text}")
    print(f"{len(table) - len(failed)} passed, {len(failed)} failed")
    return 1 if failed else 2 if missing else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
