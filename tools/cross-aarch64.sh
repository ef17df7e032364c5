#!/usr/bin/env bash
# Builds fer-edge for 64-bit ARM (Raspberry Pi OS, Jetson) on an amd64 Debian, and runs it in emulation.
#
#   tools/cross-aarch64.sh release    the program to deliver, static; about 30 minutes of processor time
#   tools/cross-aarch64.sh check      unoptimised, a quarter of that; the demo must decide as on amd64
#
# rustup's toolchain has no standard library for ARM here, so Debian's rustc-web is unpacked into
# target/aarch64-rust; nothing is installed by it. gcc-aarch64-linux-gnu and libc6-dev-arm64-cross are needed, and
# qemu-user-static for `check`. FER_NO_SKIP=1 turns a missing tool into a failure.
set -euo pipefail
cd "$(dirname "$0")/.."

mode=${1:?release or check}
target=aarch64-unknown-linux-gnu
folder=${CARGO_TARGET_DIR:-target}
rust=$folder/aarch64-rust

fail() {
    echo "cross-aarch64: $*" >&2
    exit 1
}

skip() {
    [ "${FER_NO_SKIP:-0}" != 1 ] || fail "FER_NO_SKIP=1, but: $*"
    echo "SKIP: $*"
    exit 0
}

# Unpacks Debian's compiler and its ARM standard library, with lists and caches of its own.
fetch() {
    local work=$rust/.apt version short packages
    mkdir -p "$work"/{lists/partial,cache/archives/partial,debs}
    local options=(-o "Dir::State::lists=$PWD/$work/lists" -o "Dir::Cache=$PWD/$work/cache"
        -o APT::Architectures::=amd64 -o APT::Architectures::=arm64 -o APT::Sandbox::User=root
        -o Acquire::Languages=none)
    apt-get "${options[@]}" update -qq
    version=$(apt-cache "${options[@]}" policy rustc-web | awk '/Candidate:/{print $2}')
    [ -n "$version" ] && [ "$version" != "(none)" ] || skip "apt has no rustc-web: nothing was built for ARM"
    short=${version%%+*}
    short=${short%.*}
    packages=(rustc-web="$version" libstd-rust-web-dev="$version" libstd-rust-web-"$short"="$version"
        libstd-rust-web-dev:arm64="$version")
    packages+=("$(apt-cache "${options[@]}" show libstd-rust-web-"$short"="$version" | grep -oE 'libllvm[0-9]+' | head -n 1)")
    (cd "$work/debs" && apt-get "${options[@]}" download -qq "${packages[@]}")
    for package in "$work"/debs/*.deb; do
        dpkg -x "$package" "$rust"
    done
    # rustc finds its own libraries only in the system's folders
    {
        echo '#!/bin/sh'
        echo 'root=$(dirname "$(realpath "$0")")'
        echo 'LD_LIBRARY_PATH="$root/usr/lib/x86_64-linux-gnu${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}" exec "$root/usr/bin/rustc" "$@"'
    } >"$rust/rustc"
    chmod +x "$rust/rustc"
    rm -rf "$work"
}

build() { # build PROFILE FLAGS...
    local profile=$1
    shift
    RUSTC=$(realpath "$rust/rustc") CARGO_TARGET_DIR=$folder/aarch64 \
        CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc \
        CC_aarch64_unknown_linux_gnu=aarch64-linux-gnu-gcc \
        CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUSTFLAGS="-Ctarget-feature=+crt-static" \
        cargo build --locked --bin fer-edge --target $target --profile "$profile" "$@"
}

# Label and number of each face of each frame of the demo.
decisions() {
    "$@" run demo 2>/dev/null | grep -oE '"(seq|id)":[0-9]+|"label":"[a-z]+"'
}

[ "$(uname -m)" = x86_64 ] || skip "this is no amd64 machine"
command -v aarch64-linux-gnu-gcc >/dev/null || skip "no aarch64-linux-gnu-gcc (Debian: gcc-aarch64-linux-gnu libc6-dev-arm64-cross)"
[ -x "$rust/rustc" ] || fetch
"$rust/rustc" --version

case $mode in
release)
    build release
    binary=$folder/aarch64/$target/release/fer-edge
    ;;
check)
    # The emulation is slower than any optimisation would be fast: only what is decided counts.
    build dev --config profile.dev.opt-level=0 --config profile.dev.debug=false \
        --config profile.dev.incremental=false --config 'profile.dev.package."*".opt-level=0'
    binary=$folder/aarch64/$target/debug/fer-edge
    command -v qemu-aarch64-static >/dev/null || skip "no qemu-aarch64-static (Debian: qemu-user-static): the ARM program was built, not run"
    native=$(ls -t "$folder"/{release,debug}/fer-edge 2>/dev/null | head -n 1 || true)
    [ -n "$native" ] || fail "no fer-edge for this machine to compare with: cargo build --bin fer-edge"
    # a Raspberry Pi 4's processor; qemu's default would emulate vector units that no such board has
    diff <(decisions "$native") <(decisions qemu-aarch64-static -cpu cortex-a72 "$binary") ||
        fail "ARM and amd64 decide differently"
    echo "the demo's decisions on ARM are those on amd64"
    ;;
*) fail "expected release or check, found $mode" ;;
esac
ls -l "$binary"
