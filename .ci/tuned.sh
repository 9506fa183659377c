#!/usr/bin/env bash
# Usage: tuned.sh
# Builds the release again, laid out as it runs: a build that counts what it does serves the benchmark's calls and streams, and the compiler goes by its
# counts (https://doc.rust-lang.org/rustc/profile-guided-optimization.html). It is target/tuned/farebox. Linux, with nginx and rustup.
set -euo pipefail
cd "$(dirname "$0")/.."
. .ci/lib.sh
patience_s=300 # with-postgres.sh stops what it started, and that what it has

# It would take half an hour to find out.
for program in nginx rustup; do
    command -v "$program" >/dev/null || { echo "tuned: $program is missing, which the benchmark or its counts need" >&2; exit 1; }
done
if [ "$(uname)" != Linux ]; then
    echo "tuned: the benchmark runs on Linux" >&2
    exit 1
fi
# They would take the place of the flags below.
unset RUSTFLAGS CARGO_ENCODED_RUSTFLAGS

tuned=${CARGO_TARGET_DIR:-target}/tuned
host=$(rustc -vV | sed -n 's/^host: //p')
profdata=$(rustc --print sysroot)/lib/rustlib/$host/bin/llvm-profdata
[ -x "$profdata" ] || run rustup component add llvm-tools

counts=$(mktemp -d "${TMPDIR:-/tmp}/farebox-counts.XXXXXX")
cleanup() { rm -rf "$counts"; }
chmod 1777 "$counts" # started as root, farebox becomes another user, who writes its counts when it ends

# build FOLDER FLAG: builds with this flag of the compiler beside those of .cargo/config.toml. A target that is named spares the build's own programs.
# Cargo does not look into what a flag names, so that it begins anew.
build() {
    rm -rf "${tuned:?}/$1"
    run cargo build --release -p server --target "$host" --target-dir "$tuned/$1" --config "build.rustflags = ['$2']"
}

build counting "-Cprofile-generate=$counts"
FAREBOX=$(realpath "$tuned/counting/$host/release/farebox")
export FAREBOX PARTS=${PARTS:-closed,rates,streams} ROUNDS=${ROUNDS:-1} ACCOUNTS=${ACCOUNTS:-100}
run .ci/with-postgres.sh cargo run --quiet --release -p bench
if ! compgen -G "$counts/*.profraw" >/dev/null; then
    echo "tuned: nothing was counted: does a config.toml of cargo's set flags for $host?" >&2
    exit 1
fi
run "$profdata" merge --sparse --output "$tuned/farebox.profdata" "$counts"
rm -rf "$tuned/counting"

build release "-Cprofile-use=$(realpath "$tuned/farebox.profdata")"
ln -f "$tuned/release/$host/release/farebox" "$tuned/farebox"
echo "$tuned/farebox is tuned."
