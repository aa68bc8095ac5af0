"""psycopg 3, psycopg2 and asyncpg. See ../run.py for what is printed and the forms."""
import asyncio
import datetime
import json
import os

import asyncpg
import psycopg
import psycopg.types.json
import psycopg2
import psycopg2.extras

SEND = "select pgforeman.send({0}, {1})"
NAMED = ("select pgforeman.send(queue => {0}, payload => {1}, priority => {2}, delay => {3},"
         " headers => {4})")
BUILD = ("select pgforeman.send('q', json_build_object('client', {0}::text, 'form', {1}::text,"
         " 'amount', 1.50, 'text', {2}::text))")


def text(client, form):
    return os.environ["CLIENTS_PAYLOAD"].replace("CLIENT", client).replace("FORM", form)


def literal(client):
    return f"select pgforeman.send('q', '{text(client, 'literal')}')"


def statements(client, json_of, jsonb_of, list_of=list):
    """form -> the statement, with {0} and so on for its parameters, and these."""
    def t(form):
        return text(client, form)

    def v(form):
        return json.loads(t(form))

    return {
        "literal": (literal(client), ()),
        "untyped": (SEND, ("q", t("untyped"))),
        "text": ("select pgforeman.send({0}::text, {1}::text)", ("q", t("text"))),
        "json": ("select pgforeman.send({0}, {1}::json)", ("q", json_of(v("json")))),
        "jsonb": ("select pgforeman.send({0}, {1}::jsonb)", ("q", jsonb_of(v("jsonb")))),
        "built": (BUILD, (client, "built", v("built")["text"])),
        "named": (NAMED, ("q", t("named"), 1, datetime.timedelta(0), jsonb_of({"a": "b"}))),
        "batch": ("select pgforeman.send_batch({0}, {1}::text[])", ("q", [t("batch")] * 2)),
        "batch_untyped": ("select pgforeman.send_batch({0}, {1})",
                          ("q", list_of([t("batch_untyped")] * 2))),
    }


def say(client, form, run):
    try:
        run()
        print(client, form, "ok", sep="\t", flush=True)
    except Exception as error:  # any driver's
        print(client, form, " ".join(str(error).split()), sep="\t", flush=True)


def by_cursor(client, connection, all_statements):
    cursor = connection.cursor()
    for form, (statement, parameters) in all_statements.items():
        places = ["%s"] * len(parameters)
        # Without parameters a statement is sent as it is, whatever braces are in it.
        sql = statement.format(*places) if parameters else statement
        say(client, form, lambda: cursor.execute(sql, parameters or None))


async def by_asyncpg(client):
    connection = await asyncpg.connect()
    # The server takes what has no type for text: so it is a JSON array.
    forms = statements(client, json.dumps, json.dumps, lambda texts: f"[{','.join(texts)}]")
    for form, (statement, parameters) in forms.items():
        places = [f"${i + 1}" for i in range(len(parameters))]
        try:
            await connection.fetch(statement.format(*places) if parameters else statement,
                                   *parameters)
            print(client, form, "ok", sep="\t", flush=True)
        except Exception as error:
            print(client, form, " ".join(str(error).split()), sep="\t", flush=True)
    await connection.close()


def main():
    with psycopg.connect(autocommit=True) as connection:
        own = psycopg.types.json
        by_cursor("psycopg", connection, statements("psycopg", own.Json, own.Jsonb))
    connection = psycopg2.connect("")
    connection.autocommit = True
    own = psycopg2.extras.Json
    by_cursor("psycopg2", connection, statements("psycopg2", own, own))
    asyncio.run(by_asyncpg("asyncpg"))


main()
