# shellcheck shell=bash
# For scripts that start others: whatever ends the script ends everything that it started. Sourced.

groups=()
patience_s=45    # how long what was started may take to stop; a script whose children wait for children of theirs sets more
cleanup() { :; } # a script redefines it, to remove what it made

# start CMD…: starts CMD in the background in a process group of its own; $! is its id.
start() {
    set -m
    "$@" </dev/null &
    set +m
    groups+=("$!")
}

# run CMD…: runs CMD to its end, in a process group of its own. A signal to this script interrupts the wait at once.
run() {
    start "$@"
    wait "$!"
}

# stop GROUP: asks a process group to stop, and insists when it has not done so in time.
stop() {
    local tries
    kill -TERM -- "-$1" 2>/dev/null || return 0
    for ((tries = 0; tries < patience_s * 10; tries++)); do
        kill -0 -- "-$1" 2>/dev/null || return 0
        sleep 0.1
    done
    kill -KILL -- "-$1" 2>/dev/null || true
}

# The latest first: what was started later may use what was started before.
stop_all() {
    local status=$? i
    trap '' INT TERM HUP
    for ((i = ${#groups[@]} - 1; i >= 0; i--)); do stop "${groups[i]}"; done
    cleanup
    exit "$status"
}

trap stop_all EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM
