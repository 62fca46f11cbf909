#!/usr/bin/env python3
"""Records what Debezium makes of the rows of tables.sql, and the rows as the server logs them.

    record.py WORKER_URL KAFKA MYSQL_HOST:PORT USER PASSWORD BINLOG_DIR [OUT [PREFIX]]

Needs a worker running Debezium 3.6.1 that has not seen these connectors before, mysql and kcat on the path, and the
folder in which the server (8.0.15, with GTIDs off or on) keeps its binary logs. Writes model.sql, rows.binlog and one
JSON file per configuration to OUT. Uses the database config_types; connectors are deleted at the end.
"""
import json
import pathlib
import struct
import subprocess
import sys
import time
import urllib.request

HERE = pathlib.Path(__file__).parent
TABLES = "numbers", "texts", "times"
CASES = {
    "default": {},
    "text": {
        "decimal.handling.mode": "string", "time.precision.mode": "isostring", "binary.handling.mode": "hex",
        "bigint.unsigned.handling.mode": "precise", "column.propagate.source.type": r".*\.(c|dec2|t6|biu)",
        "column.truncate.to.3.chars": r".*\.v", "column.mask.with.4.chars": r".*\.l1,.*\.i",
    },
    "connect": {
        "decimal.handling.mode": "double", "time.precision.mode": "connect", "binary.handling.mode": "base64",
        "message.key.columns": "(.*).numbers:b20,id;config_types.texts:en,c", "column.exclude.list": r".*\.(id|lt)",
        "column.mask.hash.v2.SHA-256.with.salt.s.1": r".*\.gbk", "column.mask.hash.SHA-256.with.salt.s.1": r".*\.v",
    },
    "nanos": {
        "time.precision.mode": "nanoseconds", "binary.handling.mode": "base64-url-safe",
        "enable.time.adjuster": "false", "schema.name.adjustment.mode": "avro",
        "field.name.adjustment.mode": "avro_unicode",
        "topic.naming.strategy": "io.debezium.schema.DefaultRegexTopicNamingStrategy",
        "topic.regex": r"PREFIX-nanos\.(.*)\.(.*)", "topic.replacement": "PREFIX-nanos.one",
        "topic.key.field.name": "_t",
    },
    "micros": {"time.precision.mode": "microseconds"},
}


def rest(method, url, body=None):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"}, method=method)
    with urllib.request.urlopen(request) as answer:
        text = answer.read()
        return json.loads(text) if text else None


def events(data, start, end):
    while start < end:
        _, kind, _, size, _, _ = struct.unpack("<IBIIIH", data[start:start + 19])
        yield kind, data[start:start + size]
        start += size


def rows_of(data, start, end):
    """The file's format description, then TABLE_MAP and row events of the database."""
    out = b"\xfebin" + next(events(data, 4, 5))[1]
    ours = {}
    for kind, event in events(data, start, end):
        if kind in (19, 30, 31, 32):
            table = int.from_bytes(event[19:25], "little")
            if kind == 19:
                ours[table] = event[28:28 + event[27]] == b"config_types"
            if ours.get(table):
                out += event
    return out


def records(kafka, topic):
    command = ["kcat", "-b", kafka, "-C", "-t", topic, "-e", "-q", "-f", "%k\x01%s\x02"]
    text = subprocess.run(command, capture_output=True, check=True).stdout.decode()
    for pair in filter(str.strip, text.split("\x02")):
        key, value = pair.split("\x01")
        yield json.loads(key) if key else None, json.loads(value)


def tables(kafka, topics):
    found = []
    for topic in topics:
        for key, value in records(kafka, topic):
            payload = value["payload"]
            assert payload["op"] == "c", payload["op"]
            name = payload["source"]["table"]
            if not found or found[-1]["table"] != name:
                schemas = {"key_schema": key and key["schema"], "value_schema": value["schema"]}
                found.append({"table": name, "topic": topic} | schemas | {"records": []})
            table = found[-1]
            assert (table["key_schema"], table["value_schema"]) == (key and key["schema"], value["schema"])
            table["records"].append({"key": key and key["payload"], "after": payload["after"]})
    return found


def shown(table):
    text = lambda value: json.dumps(value, ensure_ascii=False)
    rows = ",\n  ".join(text(record) for record in table["records"])
    head = ",\n".join(f" {text(k)}: {text(v)}" for k, v in table.items() if k != "records")
    return "{" + head + f',\n "records": [\n  {rows}\n ]' + "}"


def main():
    worker, kafka, server, user, password, logs = sys.argv[1:7]
    out = pathlib.Path(sys.argv[7]) if len(sys.argv) > 7 else HERE
    prefix = sys.argv[8] if len(sys.argv) > 8 else "config"
    host, port = server.split(":")

    def sql(text, *more):
        command = ["mysql", f"-h{host}", f"-P{port}", f"-u{user}", f"-p{password}", "--default-character-set=utf8mb4"]
        text = "SET sql_mode=''; SET time_zone='+00:00';\n" + text
        return subprocess.run([*command, *more], input=text.encode(), capture_output=True, check=True).stdout.decode()

    def place():
        return sql("SHOW MASTER STATUS", "-N").split("\t")[:2]

    lines = (HERE / "tables.sql").read_text().splitlines()
    statements = lambda word: ";\n".join(line for line in lines if line.startswith(word)) + ";"
    sql("DROP DATABASE IF EXISTS config_types; CREATE DATABASE config_types CHARACTER SET utf8mb4")
    sql(statements("CREATE"), "config_types")
    for number, (case, options) in enumerate(CASES.items()):
        name = f"{prefix}-types-{case}"
        rest("PUT", f"{worker}/connectors/{name}/config", {
            "connector.class": "io.debezium.connector.mysql.MySqlConnector", "tasks.max": "1",
            "database.hostname": host, "database.port": port, "database.user": user, "database.password": password,
            "database.server.id": str(59001 + number), "topic.prefix": f"{prefix}-{case}",
            "database.include.list": "config_types", "poll.interval.ms": "50",
            "schema.history.internal.kafka.bootstrap.servers": kafka,
            "schema.history.internal.kafka.topic": f"{name}-history",
            "schema.history.internal.store.only.captured.tables.ddl": "true",
            "key.converter": "org.apache.kafka.connect.json.JsonConverter",
            "value.converter": "org.apache.kafka.connect.json.JsonConverter",
        } | {key: value.replace("PREFIX", prefix) for key, value in options.items()})
    time.sleep(20)  # snapshots of empty tables, and the log connections
    file, start = place()
    sql(statements("INSERT"), "config_types")
    end_file, end = place()
    assert file == end_file, "the log was rotated meanwhile: run again"
    time.sleep(10)
    for case in CASES:
        topics = [f"{prefix}-{case}.one"] if case == "nanos" else [f"{prefix}-{case}.config_types.{t}" for t in TABLES]
        (out / f"{case}.json").write_text("[\n" + ",\n".join(shown(t) for t in tables(kafka, topics)) + "\n]\n")
        rest("DELETE", f"{worker}/connectors/{prefix}-types-{case}")
    data = (pathlib.Path(logs) / file).read_bytes()
    (out / "rows.binlog").write_bytes(rows_of(data, int(start), int(end)))
    model = [sql(f"SHOW CREATE TABLE {table}", "-N", "-B", "--raw", "config_types") for table in TABLES]
    (out / "model.sql").write_text("".join(text.split("\t", 1)[1].strip() + ";\n" for text in model))


main()
