#!/bin/bash
# Records the cases of proto-fixtures/scenarios from a real MySQL server of its own:
#
#   record.sh MYSQL_DIR [CASE...]
#
# MYSQL_DIR holds bin/mysqld and share/. For each scenario a case folder mysql/<version>/<case>/ gets
#   scenario.sql   the statements, as run
#   wire.bin       the binlog file they produced
#   server.tsv     every row that is left, as the server itself prints it (see below)
#   PROVENANCE     server version, date, how
# expect.jsonl is written by the tests (UPDATE_FIXTURES=1 cargo test -p mysql-protocol) and reviewed; the tests hold it
# and server.tsv against each other.
#
# server.tsv: database.table, then one field per column; NULL is \N. Text and bytes are hexadecimal in the column's own
# character set, FLOAT and DOUBLE have 17 digits, TIMESTAMP is seconds since 1970, ENUM, SET and BIT are numbers, GEOMETRY
# is hexadecimal.
#
# Lines "-- setup: SQL" of a scenario run before the binlog is emptied, "-- teardown: SQL" after it was copied.
set -euo pipefail
mysql_dir=$(cd "$1" && pwd); shift
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d /tmp/record.XXXXXX); chmod 755 "$work"
pid=
stop() { [ -z "$pid" ] || { kill "$pid" 2>/dev/null || true; wait "$pid" 2>/dev/null || true; }; rm -rf "$work"; }
trap stop EXIT
user=(); [ "$(id -u)" != 0 ] || user=(--user=mysql)
mkdir "$work/data"; [ "$(id -u)" != 0 ] || chown mysql "$work/data"
common=(--no-defaults "${user[@]}" --datadir="$work/data" --lc-messages-dir="$mysql_dir/share" --socket="$work/data/s.sock")
"$mysql_dir/bin/mysqld" "${common[@]}" --initialize-insecure >"$work/log" 2>&1 || { cat "$work/log"; exit 1; }
extra=()
"$mysql_dir/bin/mysqld" --no-defaults --version 2>/dev/null | grep -q 'Ver 8' && extra=(--mysqlx=0)
"$mysql_dir/bin/mysqld" "${common[@]}" "${extra[@]}" --skip-networking --pid-file="$work/data/p.pid" --log-bin=binlog --server-id=1 \
  --gtid-mode=ON --enforce-gtid-consistency=ON --log-slave-updates=ON --default-time-zone=+00:00 --character-set-server=utf8mb4 --max-allowed-packet=64M >"$work/log" 2>&1 &
pid=$!
sql() { mysql --no-defaults -uroot -S "$work/data/s.sock" --default-character-set=utf8mb4 "$@"; }
for _ in $(seq 120); do sql -e 'SELECT 1' >/dev/null 2>&1 && break; sleep 0.5; done
version=$(sql -NBe "SELECT SUBSTRING_INDEX(VERSION(), '-', 1)")
compatible=$(sql -NBe "SELECT SUBSTRING_INDEX(VERSION(), '.', 2)")

expression() { # type, column -> how the server prints it
  local c="\`$2\`"
  case $1 in
    float|double) echo "IF($c IS NULL, NULL, FORMAT_DOUBLE)" | sed "s/FORMAT_DOUBLE/CAST($c + 0e0 AS CHAR)/" ;;
    char|varchar|binary|varbinary|*text|*blob|geometry|point|linestring|polygon|multi*|geom*) echo "HEX($c)" ;;
    enum|set|bit) echo "CAST($c | 0 AS UNSIGNED)" ;;
    timestamp) echo "UNIX_TIMESTAMP($c)" ;;
    *) echo "CAST($c AS CHAR CHARACTER SET utf8mb4)" ;;
  esac
}
tables() { sql -NBe "SELECT table_schema, table_name FROM information_schema.tables WHERE table_type = 'BASE TABLE' AND table_schema NOT IN ('mysql','sys','information_schema','performance_schema') ORDER BY 1, 2"; }
select_all() {
  tables | while read -r db table; do
    local list="'$db.$table'"
    while read -r type column; do
      list="$list, COALESCE($(expression "$type" "$column"), '\\\\N')"
    done < <(sql -NBe "SELECT data_type, column_name FROM information_schema.columns WHERE table_schema='$db' AND table_name='$table' ORDER BY ordinal_position")
    sql -NB --raw -e "SELECT $list FROM \`$db\`.\`$table\` ORDER BY 2"
  done
}
cases=("$@")
if [ ${#cases[@]} -eq 0 ]; then
  for scenario in "$here"/scenarios/*.sql; do cases+=("$(basename "$scenario" .sql)"); done
fi
for case in "${cases[@]}"; do
  scenario=$here/scenarios/$case.sql
  only=$(sed -n 's/^-- only: //p' "$scenario"); [ -z "$only" ] || [ "$only" = "$compatible" ] || continue
  out=$here/mysql/$version/$case; mkdir -p "$out"
  for db in $(sql -NBe "SELECT schema_name FROM information_schema.schemata WHERE schema_name LIKE 'fx%'"); do sql -e "DROP DATABASE $db"; done
  sed -n 's/^-- setup: //p' "$scenario" | sql
  sql -e 'RESET MASTER'
  sql <"$scenario"
  file=$(sql -NBe 'SHOW MASTER STATUS' | cut -f1)
  sql -e 'FLUSH LOGS'
  cp "$work/data/$file" "$out/wire.bin"; chmod 644 "$out/wire.bin"
  cp "$scenario" "$out/scenario.sql"
  select_all >"$out/server.tsv"
  sed -n 's/^-- teardown: //p' "$scenario" | sql
  printf 'MySQL %s, recorded %s by proto-fixtures/record.sh: binlog file after scenario.sql on an empty server, row format, GTID on.\n' \
    "$(sql -NBe 'SELECT CONCAT(VERSION(), " ", @@version_compile_os, " ", @@version_compile_machine)')" "$(date -u +%F)" >"$out/PROVENANCE"
  echo "$version $case: $(stat -c %s "$out/wire.bin") bytes, $(wc -l <"$out/server.tsv") rows"
done
