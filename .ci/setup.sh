#!/usr/bin/env bash
# Installs what is missing to build and run Farebox; with "tests" as its argument, what the tests need as well.
# Each step first looks whether its work is done, so that running this again costs next to nothing.
set -euo pipefail
cd "$(dirname "$0")/.."
. .ci/tools.sh
PATH="$TOOLS_PATH:$PATH"

# step NAME IS_THERE INSTALL: runs the function INSTALL unless the function IS_THERE succeeds; says how long it took.
step() {
    local name=$1 is_there=$2 install=$3 begun=$SECONDS
    if "$is_there"; then
        printf '  ok    %s\n' "$name"
        return
    fi
    printf '  ...   %s\n' "$name"
    "$install"
    "$is_there" || fail "$name is still missing after it was installed; the lines above should say why"
    printf '  done  %s (%d s)\n' "$name" $((SECONDS - begun))
}

fail() {
    printf '\nsetup: %s\n' "$1" >&2
    exit 1
}

have() { command -v "$1" >/dev/null 2>&1; }

# --- System packages -------------------------------------------------------------------------------------------------

postgres_is_there() { have postgres || compgen -G '/usr/lib/postgresql/*/bin/postgres' >/dev/null; }
compiler_is_there() { have cc && have make && have perl; }
venv_is_there() { python3 -c 'import ensurepip, venv' 2>/dev/null; }

# as_root CMD…: runs CMD with root's rights, or prints it and stops where that is not possible.
as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif have sudo && { [ -t 0 ] || sudo -n true 2>/dev/null; }; then
        sudo "$@"
    else
        fail "root's rights are needed; run this yourself, then try again:
    sudo $*"
    fi
}

# packages BREW_NAMES APT_NAMES…: installs the apt packages; on other systems says what to install.
packages() {
    local brew=$1
    shift
    if ! have apt-get; then
        if have brew; then fail "install it with:  brew install $brew"; fi
        fail "install it with your system's package manager (Debian calls it: $*)"
    fi
    # A fresh image has no package lists, a day-old one may name versions that are gone: ask again only when needed.
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null 2>&1 && return
    as_root apt-get update -qq
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@"
}

install_compiler() { packages 'gcc make perl  # or: xcode-select --install' build-essential pkg-config; }
install_venv() { packages python python3-venv; }

# Farebox starts clusters of its own: keep Debian from making and starting one that nobody asked for.
install_postgres() {
    local no_cluster=/etc/postgresql-common/createcluster.d/farebox-setup.conf
    if have apt-get; then
        as_root mkdir -p "${no_cluster%/*}"
        echo 'create_main_cluster = false' | as_root tee "$no_cluster" >/dev/null
    fi
    packages postgresql postgresql
    if have apt-get; then as_root rm -f "$no_cluster"; fi
}

# --- Build tools -----------------------------------------------------------------------------------------------------

rust_is_there() { have cargo && have rustc; }
wasm_target_is_there() { [ -d "$(rustc --print target-libdir --target wasm32-unknown-unknown 2>/dev/null)" ]; }
leptos_is_there() { cargo-leptos --version 2>/dev/null | grep -qF " $LEPTOS_VERSION"; }
bindgen_is_there() { wasm-bindgen --version 2>/dev/null | grep -qF " $BINDGEN_VERSION"; }

missing_rust() { fail 'install Rust from https://rustup.rs (rust-toolchain.toml names the version), then try again'; }
missing_node() { fail 'install Node.js 20 or newer with npm (https://nodejs.org, or: brew install node), then try again'; }
install_wasm_target() { rustup target add wasm32-unknown-unknown; }

# These tools run for seconds: optimising them as their authors do would take minutes longer than it ever saves.
cargo_install() {
    local root=$1
    shift
    CARGO_PROFILE_RELEASE_OPT_LEVEL=${CARGO_PROFILE_RELEASE_OPT_LEVEL:-0} CARGO_PROFILE_RELEASE_LTO=off \
        CARGO_PROFILE_RELEASE_CODEGEN_UNITS=256 CARGO_PROFILE_RELEASE_DEBUG=false \
        cargo install --quiet --root "$root" "$@"
}

# prebuilt ROOT CRATE@VERSION: takes a published binary where cargo-binstall is there to fetch one.
prebuilt() {
    have cargo-binstall && cargo binstall --no-confirm --disable-strategies compile --root "$1" "$2"
}

install_leptos() {
    prebuilt "$LEPTOS_ROOT" "cargo-leptos@$LEPTOS_VERSION" ||
        cargo_install "$LEPTOS_ROOT" "cargo-leptos@$LEPTOS_VERSION" --locked --features no_downloads
}

# No --locked: the lock file that this version was published with does not build.
install_bindgen() {
    prebuilt "$BINDGEN_ROOT" "wasm-bindgen-cli@$BINDGEN_VERSION" ||
        CARGO_PROFILE_RELEASE_OPT_LEVEL=1 cargo_install "$BINDGEN_ROOT" "wasm-bindgen-cli@$BINDGEN_VERSION"
}

# --- Node and Python packages ----------------------------------------------------------------------------------------

node_is_there() { have npm && node -e 'process.exit(Number(process.versions.node.split(".")[0]) >= 20 ? 0 : 1)'; }

# `npm ci` starts by deleting node_modules; a stamp says which lock file it was made from, and whether it is complete.
STAMP=end2end/node_modules/.farebox
lock_sum() { cksum <end2end/package-lock.json; }
wasm_opt_is_there() { grep -qsxF -e "build $(lock_sum)" -e "tests $(lock_sum)" "$STAMP"; }
node_packages_are_there() { grep -qsxF "tests $(lock_sum)" "$STAMP"; }
npm_ci() {
    npm ci --prefix end2end --silent --no-audit --no-fund "$@"
}
install_wasm_opt() { npm_ci --omit=dev && echo "build $(lock_sum)" >"$STAMP"; }
install_node_packages() { npm_ci && echo "tests $(lock_sum)" >"$STAMP"; }

VENV=end2end/.venv
python_packages_are_there() { cmp -s end2end/requirements.txt "$VENV/requirements.txt"; }
install_python_packages() {
    python3 -m venv --clear "$VENV"
    "$VENV/bin/pip" install --quiet --disable-pip-version-check -r end2end/requirements.txt
    cp end2end/requirements.txt "$VENV/"
}

chromium_is_there() { (cd end2end && node chromium.mjs >/dev/null); }
# Ubuntu's apt has only a snap of it, which does not run in containers: there, and where apt is not, Playwright's own.
install_chromium() {
    if ! grep -qs '^ID=debian' /etc/os-release || ! (packages chromium chromium); then
        (cd end2end && npx playwright install --with-deps --only-shell chromium)
    fi
}

# --- The steps -------------------------------------------------------------------------------------------------------

step 'Rust' rust_is_there missing_rust
step 'Node.js' node_is_there missing_node
step 'C compiler' compiler_is_there install_compiler
step 'PostgreSQL server' postgres_is_there install_postgres
step 'wasm target' wasm_target_is_there install_wasm_target
step "cargo-leptos $LEPTOS_VERSION" leptos_is_there install_leptos
step "wasm-bindgen $BINDGEN_VERSION" bindgen_is_there install_bindgen

if [ "${1:-}" = tests ]; then
    step 'Node packages' node_packages_are_there install_node_packages
    step 'Python venv' venv_is_there install_venv
    step 'Python packages' python_packages_are_there install_python_packages
    step 'Chromium' chromium_is_there install_chromium
else
    step 'wasm-opt' wasm_opt_is_there install_wasm_opt
fi
