#!/usr/bin/env bash
# The yardstick beside `synod bench log`: PostgreSQL 15 with two synchronous standbys, the same small writes.
#
# A table of bigint -> text, one upsert per transaction, committed when both standbys have it on disk
# (synchronous_commit = on with `FIRST 2`, which is stricter than a quorum) or when one has (`ANY 1`, a quorum of
# three, as in Synod). Connections over TLS, prepared statements, pipelined by pgbench where `-D` allows.
#
#   benches/postgres.sh [SECONDS]        needs Debian's postgresql-15 and, if run as root, its user `postgres`
#
# Prints: mode, clients, transactions per second, mean latency in ms.
set -euo pipefail
seconds=${1:-10}
bin=/usr/lib/postgresql/15/bin
[ -x "$bin/initdb" ] || { echo "PostgreSQL 15 is not installed" >&2; echo "hint: apt-get install postgresql-15" >&2; exit 1; }

dir=$(mktemp -d)
as=()
if [ "$(id -u)" = 0 ]; then chown postgres "$dir"; as=(setpriv --reuid postgres --regid postgres --init-groups); fi
run() { (cd "$dir" && HOME=$dir "${as[@]}" "$@"); }
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
stop() {
    for node in standby2 standby1 primary; do run "$bin/pg_ctl" -D "$dir/$node" -m fast -w stop >/dev/null 2>&1 || true; done
    rm -rf "$dir"
}
trap stop EXIT

# TLS, as in Synod: a certificate made on the spot.
run openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -subj /CN=localhost \
    -keyout "$dir/server.key" -out "$dir/server.crt" 2>/dev/null
run chmod 600 "$dir/server.key"
run "$bin/initdb" -D "$dir/primary" -A trust -U postgres >/dev/null
cat >>"$dir/primary/postgresql.conf" <<CONF
listen_addresses = '127.0.0.1'
port = $port
unix_socket_directories = '$dir'
ssl = on
ssl_cert_file = '$dir/server.crt'
ssl_key_file = '$dir/server.key'
max_wal_senders = 8
shared_buffers = '256MB'
max_connections = 300
CONF
run "$bin/pg_ctl" -D "$dir/primary" -l "$dir/primary.log" -w start >/dev/null
for n in 1 2; do
    run "$bin/pg_basebackup" -h 127.0.0.1 -p "$port" -U postgres -D "$dir/standby$n" -R -X stream
    sed -i "s/^port = .*/port = $((port + n))/" "$dir/standby$n/postgresql.conf"
    sed -i "s/user=postgres/application_name=standby$n user=postgres/" "$dir/standby$n/postgresql.auto.conf"
    run "$bin/pg_ctl" -D "$dir/standby$n" -l "$dir/standby$n.log" -w start >/dev/null
done

export PGHOST=127.0.0.1 PGPORT=$port PGUSER=postgres PGSSLMODE=require
sql() { run "$bin/psql" -qAt -d postgres -c "$1"; }
sql "CREATE TABLE messages (key bigint PRIMARY KEY, message text)"
cat >"$dir/put.sql" <<'SQL'
\set key random(1, 100000)
INSERT INTO messages VALUES (:key, 'a private message of 40 bytes, more or so') ON CONFLICT (key) DO UPDATE SET message = excluded.message;
SQL
chmod 644 "$dir/put.sql"

printf '%-32s %8s %12s %12s\n' "synchronous_standby_names" clients "tx/s" "mean ms"
for names in 'ANY 1 (standby1, standby2)' 'FIRST 2 (standby1, standby2)'; do
    sql "ALTER SYSTEM SET synchronous_standby_names = '$names'"
    sql "SELECT pg_reload_conf()" >/dev/null
    for clients in 1 16 64 200; do
        out=$(run "$bin/pgbench" -n -M prepared -f "$dir/put.sql" -c "$clients" -j 2 -T "$seconds" postgres 2>&1)
        tps=$(awk '/^tps/ {print $3; exit}' <<<"$out")
        ms=$(awk '/latency average/ {print $4; exit}' <<<"$out")
        printf '%-32s %8s %12.0f %12s\n' "$names" "$clients" "$tps" "$ms"
    done
done
