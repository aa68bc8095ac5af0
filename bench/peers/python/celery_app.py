"""A Celery application with one task that does nothing. `python celery_app.py` sends one message of
it, as Celery's own client does, with an empty object as its payload."""
import mmap
import os
import signal
import struct
import time

from billiard.util import set_pdeathsig
from celery import Celery
from celery.signals import worker_process_init, worker_ready
from talk import note, number

QUEUE = "bench"
LATE = number("BENCH_LATE", 0) > 0

app = Celery("bench", broker=f"redis+socket://{os.environ['BENCH_REDIS']}")
app.conf.update(
    task_default_queue=QUEUE,
    task_ignore_result=True,
    task_acks_late=LATE,
    task_reject_on_worker_lost=LATE,
    worker_lost_wait=number("BENCH_LOST_WAIT_S", 10),
    worker_prefetch_multiplier=int(number("BENCH_PREFETCH", 4)),
    worker_enable_remote_control=False,
    worker_send_task_events=False,
    broker_connection_retry_on_startup=True,
)
counter = None


@worker_process_init.connect
def begin(**_):
    """Each child of the pool counts in a file of its own, which the runner reads; and it ends with
    its parent."""
    global counter
    set_pdeathsig(signal.SIGKILL)
    file = os.open(f"{os.environ['BENCH_COUNTS']}/{os.getpid()}", os.O_CREAT | os.O_RDWR, 0o666)
    os.ftruncate(file, 8)
    counter = mmap.mmap(file, 8)
    os.close(file)


@worker_ready.connect
def ready(**_):
    os.write(1, b"ready\n")


@app.task(name="bench.handle")
def handle(payload):
    struct.pack_into("<q", counter, 0, struct.unpack_from("<q", counter)[0] + 1)
    if note(payload):
        while True:
            time.sleep(3600)


if __name__ == "__main__":
    handle.delay({})
