"""Measures workflows of five steps that do nothing, in a closed loop, and prints the figures as JSON.

    python chain.py URL CALLERS PROCESSES CONNECTIONS PING WARM_UP_S MEASURED_S

The processes share the callers. Each process has connections of its own, and tests one before each use if PING is
`true`.

One caller is a coroutine and several callers are threads, because each is the faster one there.
"""

import asyncio
import json
import multiprocessing
import os
import statistics
import sys
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

from dbos import DBOS


@DBOS.step()
def nothing(n):
    return n


@DBOS.workflow()
def chain(n):
    for _ in range(5):
        n = nothing(n)
    return n


@DBOS.step()
async def nothing_async(n):
    return n


@DBOS.workflow()
async def chain_async(n):
    for _ in range(5):
        n = await nothing_async(n)
    return n


def launch(url, connections, ping):
    DBOS(
        config={
            "name": "chain",
            # A process recovers the unfinished workflows of its executor when it starts.
            "executor_id": str(os.getpid()),
            "system_database_url": url,
            "sys_db_pool_size": connections,
            "db_engine_kwargs": {"pool_pre_ping": ping},
            "log_level": "WARNING",
        }
    )
    DBOS.launch()


def create_tables(url):
    launch(url, connections=2, ping=True)
    DBOS.destroy()


def use(barrier):
    global together
    together = barrier


def work(url, callers, connections, ping, warm_up, measured):
    """Runs the callers of one process and returns their latencies."""
    launch(url, connections, ping)
    together.wait(timeout=60)
    begin = time.monotonic() + warm_up
    end = begin + measured
    if callers == 1:
        latencies = asyncio.run(call_async(begin, end))
    else:
        with ThreadPoolExecutor(callers) as threads:
            calls = [threads.submit(call, begin, end) for _ in range(callers)]
            latencies = [latency for each in calls for latency in each.result()]
    DBOS.destroy()
    return latencies


def call(begin, end):
    """Runs one workflow after the other. A workflow counts if it ends within the measured time."""
    latencies = []
    number = 0
    asked = time.monotonic()
    while asked < end:
        number += 1
        assert chain(number) == number
        answered = time.monotonic()
        if begin <= answered < end:
            latencies.append(answered - asked)
        asked = answered
    return latencies


async def call_async(begin, end):
    latencies = []
    number = 0
    asked = time.monotonic()
    while asked < end:
        number += 1
        assert await chain_async(number) == number
        answered = time.monotonic()
        if begin <= answered < end:
            latencies.append(answered - asked)
        asked = answered
    return latencies


def main():
    url, callers, processes, connections = sys.argv[1], *map(int, sys.argv[2:5])
    ping = sys.argv[5] == "true"
    warm_up, measured = map(float, sys.argv[6:8])
    # A forked process would share the connections of this one.
    context = multiprocessing.get_context("spawn")
    # Otherwise, the processes of the measurement would wait for each other while they create the tables.
    with ProcessPoolExecutor(1, context) as process:
        process.submit(create_tables, url).result()
    barrier = context.Barrier(processes)
    with ProcessPoolExecutor(processes, context, use, (barrier,)) as pool:
        shares = [callers // processes + (number < callers % processes) for number in range(processes)]
        workers = [pool.submit(work, url, share, connections, ping, warm_up, measured) for share in shares]
        latencies = [latency for worker in workers for latency in worker.result()]
    print(json.dumps({"per_s": len(latencies) / measured, "p50_us": statistics.median(latencies) * 1e6}))


if __name__ == "__main__":
    main()
