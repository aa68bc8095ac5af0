"""pgqueuer: `install` its schema with the autovacuum settings that it recommends, or `work`: several
queue managers in one process, a connection each."""
import asyncio
import datetime
import json
import sys

import asyncpg
import uvloop
from pgqueuer import PgQueuer
from pgqueuer.db import AsyncpgDriver
from pgqueuer.errors import FailingListenerError
from pgqueuer.queries import Queries
from talk import note, number

QUEUE = "bench"
handled = 0


async def handle(job):
    global handled
    handled += 1
    if note(json.loads(job.payload)):
        await asyncio.Event().wait()


async def install():
    queries = Queries(AsyncpgDriver(await asyncpg.connect()))
    await queries.install()
    await queries.optimize_autovacuum()


async def is_listening(manager):
    while True:
        try:
            return await manager.listener_healthy(datetime.timedelta(seconds=0.2))
        except FailingListenerError:
            continue


async def talk():
    lines = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    print("ready", flush=True)
    while await lines.readline():
        print(handled, flush=True)


async def work():
    running = []
    for _ in range(int(number("BENCH_CONCURRENCY", 1))):
        queuer = PgQueuer.from_asyncpg_connection(await asyncpg.connect())
        queuer.entrypoint(QUEUE)(handle)
        running.append(asyncio.create_task(queuer.run(
            batch_size=int(number("BENCH_BATCH", 10)),
            dequeue_timeout=datetime.timedelta(seconds=number("BENCH_POLL_S", 30)),
            heartbeat_timeout=datetime.timedelta(seconds=number("BENCH_HEARTBEAT_S", 30)))))
        await is_listening(queuer.qm)
    talking = asyncio.create_task(talk())
    done, _ = await asyncio.wait([talking, *running], return_when=asyncio.FIRST_COMPLETED)
    for task in done:
        task.result()


uvloop.run(install() if sys.argv[1] == "install" else work())
