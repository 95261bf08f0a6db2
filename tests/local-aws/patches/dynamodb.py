"""DynamoDB: tables and indexes are updated over time, and refuse what AWS refuses."""

import contextvars
import copy
import json
import time
from datetime import datetime, timedelta, timezone

from ministack.core.responses import error_response_json, json_response
from ministack.services import dynamodb
from ministack.services.cloudformation import provisioners

from . import settings
from .past import Past

DECREASES_DAILY = 4
DECREASE_REST_S = 3_600
PENDING = "_pending"
TABLE = ""
UNITS = ("ReadCapacityUnits", "WriteCapacityUnits")

_at_once = contextvars.ContextVar("_at_once", default=False)
_past = Past()


def find(data):
    name = dynamodb._normalize_table_name(data.get("TableName"))
    table = dynamodb._tables.get(name) if isinstance(name, str) else None
    if table:
        settle(table)
    return name, table


def pace(name):
    return 0.0 if _at_once.get() else settings.of(name).pace


def parts(table):
    """The table and its global secondary indexes, by name; the table's is empty."""
    return {TABLE: table, **{index["IndexName"]: index for index in table.get("GlobalSecondaryIndexes") or []}}


def units(throughput):
    return tuple(int((throughput or {}).get(unit, 0)) for unit in UNITS)


def asked(data):
    """The throughput that an UpdateTable asks for, by part."""
    found = {TABLE: data["ProvisionedThroughput"]} if data.get("ProvisionedThroughput") else {}
    for update in data.get("GlobalSecondaryIndexUpdates") or []:
        change = update.get("Update") or {}
        if change.get("ProvisionedThroughput"):
            found[change["IndexName"]] = change["ProvisionedThroughput"]
    return found


def set_status(table, part, status):
    record = parts(table).get(part)
    if record is not None:
        record["TableStatus" if part == TABLE else "IndexStatus"] = status


def settle(table):
    """What was under way and has had its time is done; the count of a day that is over is forgotten."""
    now, pending = time.time(), table.get(PENDING) or {}
    for part, (since, throughput) in list(pending.items()):
        if since + pace(table["TableName"]) <= now:
            del pending[part]
            record = parts(table).get(part)
            if record is not None and throughput is not None:
                record["ProvisionedThroughput"] = throughput
            set_status(table, part, "ACTIVE")
    for record in parts(table).values():
        throughput = record.get("ProvisionedThroughput") or {}
        if day(throughput.get("LastDecreaseDateTime", now)) < day(now):
            throughput["NumberOfDecreasesToday"] = 0


def day(at):
    return datetime.fromtimestamp(at, timezone.utc).date()


def update_tables_over_time():
    """DynamoDB API reference, UpdateTable: it is asynchronous; while it runs the table is UPDATING and the old throughput stands.

    An index is UPDATING by itself (IndexStatus); the table stays ACTIVE. A table is CREATING for as long.
    """
    create, update, describe = dynamodb._create_table, dynamodb._update_table, dynamodb._describe_table

    def create_slowly(data):
        answer = create(data)
        name, table = find(data)
        if answer[0] < 400 and pace(name) > 0:
            table[PENDING] = {TABLE: (time.time(), None)}
            set_status(table, TABLE, "CREATING")
            return json_response({"TableDescription": dynamodb._table_description(name)})
        return answer

    def update_slowly(data):
        name, table = find(data)
        if table is None:
            return update(data)
        before = {part: copy.deepcopy(record.get("ProvisionedThroughput")) for part, record in parts(table).items()}
        answer = update(data)
        changed = {part: record for part, record in parts(table).items() if part in before and record.get("ProvisionedThroughput") != before[part]}
        if answer[0] >= 400:
            # AWS does all of an update or nothing of it.
            for part, record in changed.items():
                record["ProvisionedThroughput"] = before[part]
            return answer
        for part, record in changed.items():
            record["ProvisionedThroughput"] = {**(before[part] or {}), **record["ProvisionedThroughput"]}
        if pace(name) <= 0:
            return answer
        for part, record in changed.items():
            table.setdefault(PENDING, {})[part] = (time.time(), record["ProvisionedThroughput"])
            record["ProvisionedThroughput"] = before[part]
            set_status(table, part, "UPDATING")
        return json_response({"TableDescription": dynamodb._table_description(name)})

    def describe_settled(data):
        find(data)
        return describe(data)

    dynamodb._create_table, dynamodb._update_table, dynamodb._describe_table = create_slowly, update_slowly, describe_settled


def update_tables_of_stacks_at_once():
    """CloudFormation user guide, stack updates: a stack waits for its tables, here by finding them ready."""
    call = provisioners._ddb_update_call

    def call_at_once(data):
        token = _at_once.set(True)
        try:
            return call(data)
        finally:
            _at_once.reset(token)

    provisioners._ddb_update_call = call_at_once


def limit_decreases():
    """DynamoDB developer guide, Quotas, decreasing provisioned throughput: four times a UTC day, and then when the past hour had none.

    Table and indexes have limits of their own, and a call that breaks one of them changes nothing.
    """
    update = dynamodb._update_table

    def update_limited(data):
        name, table = find(data)
        limited = settings.of(name).decreases_limited if table else None
        if not (pace(name) > 0 if limited is None and table else limited):
            return update(data)
        now, records = time.time(), parts(table)
        before = {part: units(records[part].get("ProvisionedThroughput")) for part in asked(data) if part in records}
        falling = {part for part, old in before.items() if any(new < was for new, was in zip(units(asked(data)[part]), old))}
        for part in falling:
            refusal = too_many_decreases(records[part].get("ProvisionedThroughput") or {}, now)
            if refusal:
                return refusal
        answer = update(data)
        if answer[0] < 400:
            for part, old in before.items():
                note(table, part, part in falling, any(new > was for new, was in zip(units(asked(data)[part]), old)), now)
        return answer

    dynamodb._update_table = update_limited


def note(table, part, falls, rises, now):
    """Keeps when the throughput fell or rose last, and how often it fell today. The count is told when the update is done."""
    current = parts(table)[part]["ProvisionedThroughput"]
    final = (table.get(PENDING) or {}).get(part, (0, current))[1]
    for throughput in (current, final):
        throughput.setdefault("NumberOfDecreasesToday", 0)
        throughput.update({"LastDecreaseDateTime": now} if falls else {}, **({"LastIncreaseDateTime": now} if rises else {}))
    final["NumberOfDecreasesToday"] += falls


def too_many_decreases(throughput, now):
    done, last = throughput.get("NumberOfDecreasesToday", 0), throughput.get("LastDecreaseDateTime", 0)
    if done < DECREASES_DAILY or DECREASE_REST_S <= now - last:
        return None
    midnight = datetime.combine(day(now) + timedelta(days=1), datetime.min.time(), timezone.utc).timestamp()
    return error_response_json(
        "LimitExceededException",
        "Subscriber limit exceeded: Provisioned throughput decreases are limited within a given UTC day. After the first "
        f"{DECREASES_DAILY} decreases, each subsequent decrease in the same UTC day can be performed at most once every "
        f"{DECREASE_REST_S} seconds. Number of decreases today: {done}. Last decrease at {long_date(last)}. "
        f"Next decrease can be made at {long_date(min(last + DECREASE_REST_S, midnight))}.",
        400,
    )


def long_date(at):
    return datetime.fromtimestamp(at, timezone.utc).strftime("%A, %B %-d, %Y at %-I:%M:%S %p Coordinated Universal Time")


def refuse_unchanged_throughput():
    """DynamoDB API reference, UpdateTable: throughput that equals the present one, of the table or of an index, is a ValidationException."""
    update = dynamodb._update_table

    def update_changed(data):
        _, table = find(data)
        records = parts(table) if table else {}
        for part, wanted in asked(data).items():
            now = units(records.get(part, {}).get("ProvisionedThroughput"))
            if units(wanted) != now or data.get("BillingMode") == "PAY_PER_REQUEST":
                continue
            of = f"index {part}" if part else "table"
            whose = f"index {part}" if part else "the table"
            told = " ".join(
                f"Current {unit} provisioned for {whose}: {count}. Requested {unit}: {count}." for unit, count in zip(UNITS, now)
            )
            sentence = f"The provisioned throughput for the {of} will not change. The requested value equals the current value. {told}"
            limits = "Refer to the Amazon DynamoDB Developer Guide for current limits and how to request higher limits."
            return error_response_json("ValidationException", f"{sentence} {limits}", 400)
        return update(data)

    dynamodb._update_table = update_changed


def refuse_updates_of_busy_tables():
    """DynamoDB API reference, UpdateTable and DeleteTable: a table or index that is not ACTIVE is a ResourceInUseException."""
    update, delete = dynamodb._update_table, dynamodb._delete_table

    def in_use(why):
        return error_response_json("ResourceInUseException", f"Attempt to change a resource which is still in use: {why}", 400)

    def update_idle(data):
        name, table = find(data)
        busy = (table.get(PENDING) or {}) if table else {}
        if TABLE in busy:
            return in_use(f"Table IOPS are currently being updated. Table: {name}")
        if busy:
            return in_use(f"Index is being updated. Table: {name} Index: {next(iter(busy))}")
        return update(data)

    def delete_idle(data):
        name, table = find(data)
        busy = (table.get(PENDING) or {}) if table else {}
        if TABLE in busy:
            return in_use(f"Table: {name} is in the process of being updated.")
        if busy:
            return in_use("Cannot delete table while indexes are being created, updated, or deleted.")
        return delete(data)

    dynamodb._update_table, dynamodb._delete_table = update_idle, delete_idle


def tell_tables_late():
    """DynamoDB API reference, DescribeTable: it is eventually consistent, so it may tell what stood a moment ago."""
    update, describe = dynamodb._update_table, dynamodb._describe_table

    def update_noted(data):
        name, table = find(data)
        told = json.dumps({"Table": dynamodb._table_description(name)}) if table else None
        answer = update(data)
        if told and answer[0] < 400:
            _past.wrote(name, json.loads(told))
        return answer

    def describe_late(data):
        name, table = find(data)
        past = _past.told(name, settings.of(name).lag) if table else []
        return json_response(past[0]) if past else describe(data)

    dynamodb._update_table, dynamodb._describe_table = update_noted, describe_late


def read_numbers_of_tables():
    """CloudFormation user guide, AWS::DynamoDB::Table: numbers that come by parameters are numbers, and an index is ACTIVE when made."""
    handlers = provisioners._RESOURCE_HANDLERS["AWS::DynamoDB::Table"]
    create = handlers["create"]

    def numbers(record):
        throughput = record.get("ProvisionedThroughput")
        return {**record, "ProvisionedThroughput": {unit: int(count) for unit, count in throughput.items()}} if throughput else record

    def create_numbers(logical_id, props, stack_name):
        indexes = [{"IndexStatus": "ACTIVE", **numbers(index)} for index in props.get("GlobalSecondaryIndexes") or []]
        return create(logical_id, {**numbers(props), **({"GlobalSecondaryIndexes": indexes} if indexes else {})}, stack_name)

    handlers["create"] = create_numbers
