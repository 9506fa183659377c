#!/usr/bin/env bash
# Builds without optimisation, starts the demo, and does both again whenever a source changes.
# Not `cargo leptos watch`: that compiles server and wasm side by side, but the server embeds the names of the wasm's files.
set -euo pipefail
cd "$(dirname "$0")/.."
. .ci/lib.sh

farebox=${CARGO_TARGET_DIR:-target}/debug/farebox
built=target/watch.stamp
demo=

# changed FOLDERS…: whether a file there is newer than the last build.
changed() { [ ! -e "$built" ] || [ -n "$(find "$@" -type f -newer "$built" -print -quit)" ]; }

build() {
    local frontend=
    if changed app/src app/domain/src style; then frontend=yes; fi
    touch "$built" # before building: what changes meanwhile is built next
    if [ "$frontend" ]; then
        rm -f target/site.stamp # the release build makes its own again
        run cargo leptos build --frontend-only || return
    fi
    run cargo build -p server
}

mkdir -p target
rm -f "$built"
while true; do
    if changed app server style migrations Cargo.toml Cargo.lock; then
        if build; then
            if [ "$demo" ]; then stop "$demo"; fi
            start "$farebox" serve --demo
            demo=$!
        else
            echo 'watch: waiting for the next change'
        fi
    fi
    sleep 0.5
done
