#!/usr/bin/env bash
# Installs what is missing to build and run Farebox; with "tests" as its argument, what the tests need as well.
# What only a person can install is named first, all of it at once and with how to get it; then nothing is installed.
# Each step first looks whether its work is done, so that running this again costs next to nothing.
set -euo pipefail
cd "$(dirname "$0")/.."
. .ci/tools.sh
PATH="$TOOLS_PATH:$PATH"
for_tests=
if [ "${1:-}" = tests ]; then for_tests=yes; fi

# The oldest PostgreSQL that Farebox works with.
POSTGRES_MIN=15

have() { command -v "$1" >/dev/null 2>&1; }

fail() {
    printf '\nsetup: %s\n' "$1" >&2
    exit 1
}

# What an IS_THERE function has to say beyond yes or no.
remark=

found() {
    printf '  ok    %s%s\n' "$1" "${remark:+: $remark}"
    remark=
}

# step NAME IS_THERE INSTALL…: runs INSTALL unless the function IS_THERE succeeds; says how long it took.
step() {
    local name=$1 is_there=$2 begun=$SECONDS
    shift 2
    if "$is_there"; then
        found "$name"
        return
    fi
    printf '  ...   %s\n' "$name"
    "$@"
    "$is_there" || fail "$name is still missing after it was installed; the lines above should say why"
    printf '  done  %s (%d s)%s\n' "$name" $((SECONDS - begun)) "${remark:+: $remark}"
    remark=
}

# --- What others bring -----------------------------------------------------------------------------------------------

missing=           # what a person must install, and how
packages=          # what apt brings
packages_names=    # what it is called here
packages_steps=()  # and its steps: name, IS_THERE, INSTALL

# by_hand NAME HOW: this must be installed by a person.
by_hand() {
    missing+="
  $1
      $2"
}

# package NAME IS_THERE MAC APT [INSTALL]: what comes from the system's packages. MAC is the command for macOS, APT what Debian calls it,
# INSTALL the function that installs it from there.
package() {
    local name=$1 is_there=$2 mac=$3 apt=$4 install=${5:-apt_install}
    if "$is_there"; then
        found "$name"
    elif have apt-get; then
        packages+=" $apt"
        packages_names+="${packages_names:+, }$name"
        packages_steps+=("$name" "$is_there" "$install $apt")
    elif is_mac; then
        by_hand "$name" "$mac"
    else
        by_hand "$name" "from your system's packages; Debian calls it $apt"
    fi
}

# Names what a person must install and stops; where there is no such thing, installs the packages.
install_packages() {
    local i
    if [ "$packages" ] && ! is_root && { [ "$missing" ] || ! sudo_works; }; then
        # shellcheck disable=SC2086 # package names
        by_hand "$packages_names" "$(apt_knows $packages || echo 'sudo apt-get update && ')sudo apt-get install -y$packages"
    fi
    [ -z "$missing" ] || fail "install what is missing, then try again:
$missing"
    for ((i = 0; i < ${#packages_steps[@]}; i += 3)); do
        # shellcheck disable=SC2086 # a function and its arguments
        step "${packages_steps[i]}" "${packages_steps[i + 1]}" ${packages_steps[i + 2]}
    done
}

is_mac() { [ "$(uname)" = Darwin ]; }
is_debian() { have apt-get && grep -qs '^ID=debian' /etc/os-release; }
is_root() { [ "$(id -u)" = 0 ]; }
# Only who sits at a terminal is asked for a password.
sudo_works() {
    have sudo && { sudo -n true 2>/dev/null || { [ -t 0 ] && sudo -p 'setup: apt needs the rights of root. Password of %p: ' -v; }; }
}

# as_root CMD…: runs CMD with root's rights, which are known to be had.
as_root() { if is_root; then "$@"; else sudo "$@"; fi; }

# apt_version PACKAGE: the version that apt would install, if it knows of one.
apt_version() { LC_ALL=C apt-cache policy "$1" 2>/dev/null | sed -n 's/^ *Candidate: *\([^(].*\)/\1/p'; }
# apt_knows PACKAGE…: whether it knows them all; a fresh image has no package lists.
apt_knows() {
    local package
    for package; do [ "$(apt_version "$package")" ] || return; done
}

apt_install() {
    # Package lists may be missing, old ones name versions that are gone: ask for new ones only when needed.
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null 2>&1 && return
    as_root apt-get update -qq
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@"
}

pgbouncer_is_there() { have pgbouncer; }
nginx_is_there() { have nginx || [ -x /usr/sbin/nginx ]; }
caddy_is_there() { have caddy; }
# install_idle PACKAGE: of a server of which tests start one of their own. Keeps Debian from starting one that nobody asked for, now and at every boot.
install_idle() {
    local policy=/usr/sbin/policy-rc.d made='' status=0
    if [ ! -e "$policy" ]; then
        made=yes
        as_root sh -c "printf '#!/bin/sh\nexit 101\n' >'$policy' && chmod 755 '$policy'"
    fi
    apt_install "$@" || status=$?
    if [ "$made" ]; then as_root rm -f "$policy"; fi
    if have systemctl; then as_root systemctl disable "$1" >/dev/null 2>&1 || true; fi
    return "$status"
}

compiler_is_there() { have cc && have make && have perl; }
venv_is_there() { python3 -c 'import ensurepip, venv' 2>/dev/null; }

has_postgres() {
    local postgres
    for postgres in "$(command -v postgres)" /usr/lib/postgresql/*/bin/postgres /usr/pgsql-*/bin/postgres \
        /opt/homebrew/opt/postgresql@*/bin/postgres /usr/local/opt/postgresql@*/bin/postgres \
        /Applications/Postgres.app/Contents/Versions/*/bin/postgres; do
        if [ -x "$postgres" ] && [[ $("$postgres" --version) =~ \)\ ([0-9]+) ]] && ((BASH_REMATCH[1] >= POSTGRES_MIN)); then return; fi
    done
    return 1
}

# Where apt has only an older one, Farebox helps itself.
postgres_is_there() {
    local major
    if has_postgres; then return; fi
    have apt-get || return
    major=$(apt_version postgresql | sed 's/[^0-9].*//')
    [ "$major" ] && ((major < POSTGRES_MIN)) || return
    remark="apt has only version $major; Farebox needs $POSTGRES_MIN or newer and downloads its own when it first starts"
}

install_postgres() {
    local no_cluster=/etc/postgresql-common/createcluster.d/farebox-setup.conf status=0
    apt_knows postgresql || as_root apt-get update -qq
    if postgres_is_there; then return; fi
    # Farebox starts clusters of its own: keep Debian from making and starting one that nobody asked for.
    as_root sh -c "mkdir -p '${no_cluster%/*}' && echo 'create_main_cluster = false' >'$no_cluster'"
    apt_install "$@" || status=$?
    as_root rm -f "$no_cluster"
    return "$status"
}

# --- Build tools -----------------------------------------------------------------------------------------------------

# rustup fetches what is missing of a toolchain; a Rust without it must have everything.
rust_is_there() {
    have cargo && have rustc || return
    if have rustup; then return; fi
    printf '%s\n' "$RUST_VERSION" "$(rustc --version | awk '{ print $2 }')" | sort -C -V || return
    [ -d "$(rustc --print target-libdir --target wasm32-unknown-unknown 2>/dev/null)" ] || return
    [ -z "$for_tests" ] || { have cargo-fmt && have cargo-clippy; }
}

# rustup is asked rather than rustc: started through rustup, rustc would fetch what is missing by itself.
toolchain_is_there() { ! have rustup || grep -q "^$RUST_VERSION-" <<<"$(rustup toolchain list)"; }
install_toolchain() {
    rustup toolchain install "$RUST_VERSION" --profile minimal -c rustfmt -c clippy -t wasm32-unknown-unknown
}
wasm_target_is_there() {
    ! have rustup || grep -qx wasm32-unknown-unknown <<<"$(rustup target list --installed --toolchain "$RUST_VERSION")"
}
install_wasm_target() { rustup target add --toolchain "$RUST_VERSION" wasm32-unknown-unknown; }

leptos_is_there() { cargo-leptos --version 2>/dev/null | grep -qF " $LEPTOS_VERSION"; }
bindgen_is_there() { wasm-bindgen --version 2>/dev/null | grep -qF " $BINDGEN_VERSION"; }

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

node_is_there() {
    have npm && have node && node -e 'process.exit(Number(process.versions.node.split(".")[0]) >= 20 ? 0 : 1)'
}

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

chromium_is_there() { have node && (cd end2end && node chromium.mjs >/dev/null); }
# Ubuntu's apt has only a snap of it, which does not run in containers: there, and where apt is not, Playwright's own.
install_chromium() {
    local libraries=
    if have apt-get && { is_root || sudo_works; }; then libraries=--with-deps; fi
    (cd end2end && npx playwright install ${libraries:+"$libraries"} --no-shell chromium)
}

# --- The steps -------------------------------------------------------------------------------------------------------

rust_is_there || by_hand "Rust $RUST_VERSION or newer, with its target wasm32-unknown-unknown, rustfmt and clippy" \
    'curl -sSf https://sh.rustup.rs | sh    # see https://rustup.rs; afterwards open a new terminal'
if node_is_there; then
    found 'Node.js'
else
    by_hand 'Node.js 20 or newer, with npm' "$(is_mac && echo 'brew install node' || echo 'from https://nodejs.org')"
fi
package 'C compiler' compiler_is_there 'xcode-select --install' 'build-essential pkg-config'
package 'PostgreSQL server' postgres_is_there 'brew install postgresql@17' postgresql install_postgres
if [ "$for_tests" ]; then
    package 'Python venv' venv_is_there 'brew install python' python3-venv
    if is_debian; then package 'Chromium' chromium_is_there '' chromium-headless-shell; fi
    # Elsewhere the tests that need one say that they were skipped.
    if have apt-get; then
        package 'PgBouncer' pgbouncer_is_there '' pgbouncer install_idle
        package 'nginx' nginx_is_there '' nginx install_idle
        package 'Caddy' caddy_is_there '' caddy install_idle
    fi
fi
install_packages

step "Rust $RUST_VERSION" toolchain_is_there install_toolchain
step 'wasm target' wasm_target_is_there install_wasm_target
step "cargo-leptos $LEPTOS_VERSION" leptos_is_there install_leptos
step "wasm-bindgen $BINDGEN_VERSION" bindgen_is_there install_bindgen
if [ "$for_tests" ]; then
    step 'Node packages' node_packages_are_there install_node_packages
    step 'Python packages' python_packages_are_there install_python_packages
    if ! is_debian; then step 'Chromium' chromium_is_there install_chromium; fi
else
    step 'wasm-opt' wasm_opt_is_there install_wasm_opt
fi
