#!/usr/bin/env bash
# Usage: e2e.sh [ARGS of `playwright test`…]
# Runs the end-to-end tests against target/release/farebox, which they start and stop themselves.
set -euo pipefail
cd "$(dirname "$0")/../end2end"
. ../.ci/lib.sh

# Everything temporary in one place, which goes even when the run is interrupted.
TMPDIR=$(mktemp -d "${TMPDIR:-/tmp}/e2e.XXXXXX")
export TMPDIR
cleanup() { rm -rf "$TMPDIR"; }
chmod 1777 "$TMPDIR" # started as root, farebox becomes another user, who needs temporary files as well

run node_modules/.bin/tsc --noEmit
run node_modules/.bin/playwright test "$@"
