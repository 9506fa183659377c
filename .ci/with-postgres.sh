#!/usr/bin/env bash
# Usage: with-postgres.sh CMD…
# Runs CMD with DATABASE_URL set to a fresh PostgreSQL of its own, which is gone afterwards.
# TEST_DATABASE_URL, where it is set, names a server to use instead; its role must be allowed to create databases and roles.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

if [ -n "${TEST_DATABASE_URL:-}" ]; then
    export DATABASE_URL=$TEST_DATABASE_URL
    run "$@"
    exit
fi

farebox=${FAREBOX:-${CARGO_TARGET_DIR:-target}/release/farebox}
if [ ! -x "$farebox" ]; then
    echo "with-postgres: $farebox is not there: run 'make build' first, or set TEST_DATABASE_URL" >&2
    exit 1
fi

patience_s=130 # farebox gives PostgreSQL 120
folder=$(mktemp -d "${TMPDIR:-/tmp}/farebox-postgres.XXXXXX")
cleanup() { rm -rf "$folder"; }
chmod 755 "$folder" # started as root, farebox becomes another user, who must be able to enter here

start "$farebox" postgres --data-dir "$folder/data" >"$folder/url" 2>"$folder/log"
# Its first line is the URL; a line counts once it is whole.
deadline=$((SECONDS + 300))
until read -r DATABASE_URL <"$folder/url"; do
    if ! kill -0 "$!" 2>/dev/null || ((SECONDS > deadline)); then
        echo "with-postgres: PostgreSQL did not start:" >&2
        cat "$folder/log" >&2
        exit 1
    fi
    sleep 0.1
done
export DATABASE_URL
run "$@"
