# shellcheck shell=bash disable=SC2034
# Which build tools Farebox needs, in which versions, and where they live. Sourced by setup.sh and by the Makefile.
# Each version has a folder of its own in the user's cache, so that several checkouts share them without disturbing
# each other, and nothing that the user installed is replaced.

RUST_VERSION=$(sed -n 's/^channel = "\(.*\)"$/\1/p' rust-toolchain.toml)
# 0.3.11 wants a newer compiler than rust-toolchain.toml names.
LEPTOS_VERSION=0.3.10
# wasm-bindgen's command line must be of exactly the library's version.
BINDGEN_VERSION=$(awk '/^name = "wasm-bindgen"$/ { getline; gsub(/[^0-9.]/, ""); print; exit }' Cargo.lock)

TOOLS="${XDG_CACHE_HOME:-$HOME/.cache}/farebox/tools"
LEPTOS_ROOT="$TOOLS/cargo-leptos-$LEPTOS_VERSION"
BINDGEN_ROOT="$TOOLS/wasm-bindgen-cli-$BINDGEN_VERSION"

# node_modules holds wasm-opt: Debian's is too old for what rustc emits.
TOOLS_PATH="$LEPTOS_ROOT/bin:$BINDGEN_ROOT/bin:$PWD/end2end/node_modules/.bin"
