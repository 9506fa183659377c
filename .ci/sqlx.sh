#!/usr/bin/env bash
# Records what the ledger's checked queries need to know of the schema, for builds without a database.
# Needs DATABASE_URL of an empty database: run it through with-postgres.sh, as `make sqlx` does.
set -euo pipefail
cd "$(dirname "$0")/.."
recorded=app/ledger/.sqlx

# With psql rather than `farebox migrate`: a farebox with the new queries cannot be built before they are recorded.
for migration in migrations/*.sql; do
    psql --quiet --no-psqlrc --set ON_ERROR_STOP=1 --single-transaction --file "$migration" "$DATABASE_URL"
done

# Into a new folder, which replaces the old one only when all of it is there: no stale file stays, none is lost.
fresh=$(mktemp -d)
trap 'rm -rf "$fresh"' EXIT
# The macros speak to the database only when they are expanded again.
find app/ledger -name '*.rs' -exec touch {} +
SQLX_OFFLINE=false SQLX_OFFLINE_DIR=$fresh cargo check -p ledger --all-targets

rm -rf "$recorded"
mkdir "$recorded"
cp "$fresh"/*.json "$recorded"
echo "recorded $(find "$recorded" -name '*.json' | wc -l) queries in $recorded"
