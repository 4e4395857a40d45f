"""Drives a served hub with the unmodified Python client of Azure Durable Functions.

        drive.py URL        URL of the hub, with the base path

The hub is the one of tests/azure_client.rs. The first step that fails ends the program.
"""

import asyncio
import json
import sys
from datetime import datetime, timedelta, timezone

import azure.functions as func
from azure.durable_functions import DurableOrchestrationClient, EntityId, OrchestrationRuntimeStatus
from azure.durable_functions.models.utils import http_utils

Status = OrchestrationRuntimeStatus

# The placeholder for the instance ID in the URLs that the Azure host passes to its clients.
PLACEHOLDER = "INSTANCEID"


def binding(url):
    """Returns the client binding that the Azure host passes to a function."""
    instance = f"{url}/instances/{PLACEHOLDER}"
    return json.dumps(
        {
            "taskHubName": "default",
            "creationUrls": {
                "createNewInstancePostUri": f"{url}/orchestrators/{{functionName}}[/{{instanceId}}]",
            },
            "managementUrls": {
                "id": PLACEHOLDER,
                "statusQueryGetUri": f"{instance}?taskHub=default",
                "sendEventPostUri": f"{instance}/raiseEvent/{{eventName}}?taskHub=default",
                "terminatePostUri": f"{instance}/terminate?reason={{text}}&taskHub=default",
                "purgeHistoryDeleteUri": f"{instance}?taskHub=default",
            },
            "rpcBaseUrl": f"{url}/",
        }
    )


async def status_of(client, instance, *wanted, **shown):
    """Polls until an instance has one of the wanted statuses."""
    for _ in range(400):
        status = await client.get_status(instance, **shown)
        if status.runtime_status in wanted:
            return status
        await asyncio.sleep(0.025)
    raise AssertionError(f"{instance} is {status.runtime_status}, not one of {wanted}: {status.to_json()}")


def equal(found, expected):
    assert found == expected, f"{found!r} is not {expected!r}"


async def refused(awaitable, words):
    """Asserts that the client raises an exception whose text contains `words`."""
    try:
        answer = await awaitable
    except Exception as error:
        assert words in str(error), f"{error!r} does not contain {words!r}"
    else:
        raise AssertionError(f"the request was accepted: {answer!r}")


async def start_and_poll(client):
    order = {"customer": "Alice", "pieces": 3}
    instance = await client.start_new("pack", client_input=order)
    status = await status_of(client, instance, Status.Completed, show_input=True)
    equal(status.output, "3 pieces for Alice")
    equal(status.name, "pack")
    equal(status.instance_id, instance)
    now = datetime.now(timezone.utc)
    assert now - timedelta(minutes=5) < status.created_time <= status.last_updated_time, status.to_json()


async def start_with_an_id(client):
    # Without a slash, because this client does not encode the IDs in paths.
    instance = "order №1 of 2026"
    equal(await client.start_new("pack", instance, {"customer": "Bob", "pieces": 1}), instance)
    await status_of(client, instance, Status.Completed)


async def start_without_an_input(client):
    instance = await client.start_new("ping")
    equal((await status_of(client, instance, Status.Completed)).output, "pong")


async def start_of_an_unknown_orchestration(client):
    await refused(client.start_new("missing"), "missing")


async def status_of_a_missing_instance(client):
    assert not await client.get_status("missing"), "the instance exists"


async def history(client):
    instance = await client.start_new("pack", client_input={"customer": "Carol", "pieces": 5})
    await status_of(client, instance, Status.Completed)
    status = await client.get_status(instance, show_history=True, show_history_output=True, show_input=True)
    # This version reads `history`, which no host sends. Fields that it does not know become attributes.
    kinds = [event["EventType"] for event in status.historyEvents]
    equal((kinds[0], kinds[-1]), ("ExecutionStarted", "ExecutionCompleted"))
    assert "TaskCompleted" in kinds, kinds


async def raise_event(client):
    instance = await client.start_new("approval")
    await status_of(client, instance, Status.Running)
    await client.raise_event(instance, "decision", {"by": "the manager", "approved": True})
    equal((await status_of(client, instance, Status.Completed)).output, "approved by the manager")
    await refused(client.raise_event(instance, "decision", {"by": "the lead", "approved": True}), "gone")
    await refused(client.raise_event("missing", "decision", {"by": "the lead", "approved": True}), "No instance")


async def wait_in_the_request(client):
    request = func.HttpRequest("GET", "http://gateway.example/api/orders", body=b"")
    instance = await client.start_new("pack", client_input={"customer": "Dora", "pieces": 2})
    answer = await client.wait_for_completion_or_create_check_status_response(request, instance, 10_000, 25)
    equal((answer.status_code, answer.get_body().decode()), (200, "2 pieces for Dora"))

    waits = await client.start_new("approval")
    answer = await client.wait_for_completion_or_create_check_status_response(request, waits, 50, 25)
    equal(answer.status_code, 202)
    assert answer.headers["Location"].startswith("http://gateway.example/"), answer.headers["Location"]
    await client.terminate(waits, "enough")


async def suspend_and_resume(client):
    instance = await client.start_new("approval")
    await status_of(client, instance, Status.Running)
    await client.suspend(instance, "a pause, with words")
    await status_of(client, instance, Status.Suspended)
    await client.raise_event(instance, "decision", {"by": "the lead", "approved": False})
    await client.resume(instance, "continue")
    equal((await status_of(client, instance, Status.Completed)).output, "refused by the lead")
    await refused(client.suspend("missing", "a pause"), "No instance")


async def terminate(client):
    instance = await client.start_new("approval")
    await client.terminate(instance, "it is too late")
    status = await status_of(client, instance, Status.Terminated)
    equal(status.output, "it is too late")
    await client.terminate(instance, "again")  # The response is 410, which this client treats as success.
    await refused(client.terminate("missing", "because"), "No instance")


async def rewind(client):
    instance = await client.start_new("fails_once")
    await status_of(client, instance, Status.Failed)
    await client.rewind(instance, "the provider is back")
    equal((await status_of(client, instance, Status.Completed)).output, "done")
    await refused(client.rewind(instance, "once more"), "only supported on failed")
    await refused(client.rewind("missing", "because"), "No instance")


async def restart(client):
    instance = await client.start_new("pack", client_input={"customer": "Emil", "pieces": 7})
    await status_of(client, instance, Status.Completed)
    again = await client.restart(instance)
    assert again["id"] != instance, again
    equal((await status_of(client, again["id"], Status.Completed)).output, "7 pieces for Emil")
    again = await client.restart(instance, restart_with_new_instance_id=False)
    equal(again["id"], instance)
    await status_of(client, instance, Status.Completed)


async def entities(client):
    counter = EntityId("Counter", "apples")
    assert not (await client.read_entity_state(counter)).entity_exists, "the entity exists before its first operation"
    await client.signal_entity(counter, "add", 5)
    await client.signal_entity(counter, "add", 37)
    for _ in range(400):
        answer = await client.read_entity_state(counter)
        if answer.entity_exists and answer.entity_state["total"] == 42:
            break
        await asyncio.sleep(0.025)
    equal(answer.entity_state, {"total": 42, "label": None})
    # A string that looks like a number has to stay a string. An operation may have no input.
    await client.signal_entity(counter, "name_it", "42")
    await client.signal_entity(counter, "reset")
    for _ in range(400):
        answer = await client.read_entity_state(counter)
        if answer.entity_state["total"] == 0:
            break
        await asyncio.sleep(0.025)
    equal(answer.entity_state, {"total": 0, "label": "42"})


async def lists(client):
    # The server returns everything in one page, since this client requests no next page.
    found = await client.get_status_all()
    names = {status.name for status in found}
    assert {"pack", "approval", "ping"} <= names, names

    since = datetime.now(timezone.utc) - timedelta(minutes=5)
    until = datetime.now(timezone.utc) + timedelta(minutes=5)
    done = await client.get_status_by(since, until, [Status.Completed, Status.Terminated])
    equal({status.runtime_status for status in done}, {Status.Completed, Status.Terminated})
    equal(await client.get_status_by(until, None, [Status.Completed]), [])
    assert all(since < status.created_time < until for status in done), "an instance is outside the time range"


async def purge(client):
    instance = await client.start_new("pack", client_input={"customer": "Fritz", "pieces": 9})
    await status_of(client, instance, Status.Completed)
    equal((await client.purge_instance_history(instance)).instances_deleted, 1)
    equal((await client.purge_instance_history(instance)).instances_deleted, 0)
    assert not await client.get_status(instance), "the instance was not purged"

    left = len(await client.get_status_by(runtime_status=[Status.Terminated]))
    assert left > 0, "no instance was terminated"
    since = datetime.now(timezone.utc) - timedelta(minutes=5)
    purged = await client.purge_instance_history_by(since, None, [Status.Terminated])
    equal(purged.instances_deleted, left)
    purged = await client.purge_instance_history_by(since, None, [Status.Terminated])
    equal(purged.instances_deleted, 0)


STEPS = [
    start_and_poll,
    start_with_an_id,
    start_without_an_input,
    start_of_an_unknown_orchestration,
    status_of_a_missing_instance,
    history,
    raise_event,
    wait_in_the_request,
    suspend_and_resume,
    terminate,
    rewind,
    restart,
    entities,
    lists,
    purge,
]


async def main(url):
    client = DurableOrchestrationClient(binding(url))
    try:
        for step in STEPS:
            await asyncio.wait_for(step(client), 60)
            print(f"{step.__name__}: ok", flush=True)
    finally:
        await http_utils._close_session()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
