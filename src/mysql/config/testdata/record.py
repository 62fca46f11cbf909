#!/usr/bin/env python3
"""Records what a Kafka Connect worker running Debezium answers about the MySQL connector's options.

    record.py http://127.0.0.1:8083 MYSQL_HOST MYSQL_PORT USER PASSWORD

writes options.json (the option rows, without their texts) and validate.jsonl (one line per case of
cases.jsonl: the configuration and the errors of the connector's own keys). In cases.jsonl a key set to
null is removed from the base configuration.
"""
import json
import pathlib
import sys
import urllib.error
import urllib.request

HERE = pathlib.Path(__file__).parent
CLASS = "io.debezium.connector.mysql.MySqlConnector"
FRAMEWORK = "Common", "Transforms", "Predicates", "Error Handling", "Topic Creation", "Exactly Once Support", "offsets.topic"


def call(url, body=None):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"}, method="PUT" if data else "GET")
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


def main():
    worker, host, port, user, password = sys.argv[1:6]
    base = {
        "connector.class": CLASS, "name": "config-validate", "topic.prefix": "p", "database.hostname": host,
        "database.port": port, "database.user": user, "database.password": password, "database.server.id": "5001",
        "schema.history.internal.kafka.topic": "h", "schema.history.internal.kafka.bootstrap.servers": "b:9092",
    }
    rows = call(f"{worker}/connector-plugins/{CLASS}/config")
    rows = [r for r in rows if r["group"] not in FRAMEWORK]
    for row in rows:
        del row["documentation"]
    (HERE / "options.json").write_text("[\n" + ",\n".join(json.dumps(r) for r in rows) + "\n]\n")
    names = [r["name"] for r in rows]
    out = []
    for line in (HERE / "cases.jsonl").read_text().splitlines():
        change = json.loads(line)
        config = {k: v for k, v in (base | change).items() if v is not None}
        if change.pop("(empty)", False):
            config = {k: base[k] for k in ("connector.class", "name")}
        shown = {k: v for k, v in config.items() if k not in base or base[k] != v}
        missing = sorted(k for k in base if k not in config)
        try:
            answer = call(f"{worker}/connector-plugins/MySqlConnector/config/validate", config)
        except urllib.error.HTTPError as error:
            text = error.read().decode()
            out.append({"set": shown, "unset": missing, "status": error.code, "message": text})
            continue
        errors, recommended = [], {}
        for entry in answer["configs"]:
            value = entry["value"]
            if value and value["name"] in names or value and entry["definition"] is None:
                errors += [[value["name"], e] for e in value["errors"]]
                if value["recommended_values"]:
                    recommended[value["name"]] = sorted(value["recommended_values"])
        out.append({"set": shown, "unset": missing, "errors": errors})
    (HERE / "recommended.json").write_text(json.dumps(recommended, indent=1, sort_keys=True) + "\n")
    (HERE / "validate.jsonl").write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in out))


main()
