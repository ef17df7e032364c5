#!/usr/bin/env bash
# Builds fer-edge for 64-bit ARM (Raspberry Pi OS, Jetson) on an amd64 Debian, with the feature rpi, and runs it in
# emulation.
#
#   tools/cross-aarch64.sh release    the program to deliver, static; about 30 minutes of processor time
#   tools/cross-aarch64.sh kernels    only the kernels' tests, with and without the dot product; a minute
#   tools/cross-aarch64.sh check      hardly optimised, a quarter of that; the demo must decide as on amd64
#
# gcc-aarch64-linux-gnu and libc6-dev-arm64-cross link it, qemu-user-static runs it; FER_NO_SKIP=1 turns one that is
# missing into a failure. rustup adds the standard library for ARM; where it cannot, nothing is built.
set -euo pipefail
cd "$(dirname "$0")/.."

mode=${1:?release, kernels or check}
target=aarch64-unknown-linux-gnu
folder=${CARGO_TARGET_DIR:-target}

fail() {
    echo "cross-aarch64: $*" >&2
    exit 1
}

skip() {
    [ "${FER_NO_SKIP:-0}" != 1 ] || fail "FER_NO_SKIP=1, but: $*"
    echo "SKIP: $*"
    exit 0
}

export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc
export CC_aarch64_unknown_linux_gnu=aarch64-linux-gnu-gcc
export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUSTFLAGS="-Ctarget-feature=+crt-static -Clink-arg=$PWD/tools/cross-aarch64.ld"

build() { # build PROFILE FLAGS...
    local profile=$1
    shift
    cargo build --locked --bin fer-edge --features fer-edge/rpi --target $target --profile "$profile" "$@"
}

# decisions FILE COMMAND...: label and number of each face in the first third of the demo: emulation takes a second a face.
decisions() {
    local file=$1 rc=0
    shift
    "$@" run demo --frames 70 >"$file.lines" 2>"$file.log" || rc=$?
    if [ "$rc" -ne 0 ]; then
        tail -n 20 "$file.log" >&2
        fail "$* run demo ended with $rc"
    fi
    grep -oE '"(seq|id)":[0-9]+|"label":"[a-z]+"' "$file.lines" >"$file" || fail "no face in the demo: $file.lines"
}

[ "$(uname -m)" = x86_64 ] || skip "this is no amd64 machine"
command -v aarch64-linux-gnu-gcc >/dev/null || skip "no aarch64-linux-gnu-gcc (Debian: gcc-aarch64-linux-gnu libc6-dev-arm64-cross)"
if ! rustup target add $target; then
    skip "rustup cannot install $target: nothing was built for ARM"
fi

case $mode in
release)
    build release
    binary=$folder/$target/release/fer-edge
    ;;
kernels)
    command -v qemu-aarch64-static >/dev/null || skip "no qemu-aarch64-static (Debian: qemu-user-static): no kernel was tested"
    # the A72 has no dot product, the A76 has
    for cpu in cortex-a72 cortex-a76; do
        CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER="qemu-aarch64-static -cpu $cpu" \
            cargo test --locked -p fer-kernels --lib --tests --target $target
    done
    exit 0
    ;;
check)
    # Optimised is only what the demo spends its time in: the rest compiles four times as fast without.
    build dev --config profile.dev.opt-level=1 --config profile.dev.debug=false \
        --config profile.dev.incremental=false --config 'profile.dev.package."*".opt-level=0' \
        --config profile.dev.package.fer-kernels.opt-level=3 --config profile.dev.package.fer-faces.opt-level=3 \
        --config profile.dev.package.tract-linalg.opt-level=3
    binary=$folder/$target/debug/fer-edge
    command -v qemu-aarch64-static >/dev/null || skip "no qemu-aarch64-static (Debian: qemu-user-static): the ARM program was built, not run"
    native=$(ls -t "$folder"/{release,debug}/fer-edge 2>/dev/null | head -n 1 || true)
    [ -n "$native" ] || fail "no fer-edge for this machine to compare with: cargo build --bin fer-edge"
    # a build without the feature refuses both
    printf '[led]\ngpio = 17\n[serial]\nport = "/dev/serial0"\ndriver = "rppal"\n' >"$folder/rpi.toml"
    qemu-aarch64-static "$binary" config check --config "$folder/rpi.toml" || fail "no pins or UART of a Raspberry Pi"
    decisions "$folder/decisions.amd64" "$native"
    grep -q label "$folder/decisions.amd64" || fail "no face in the demo"
    # a Raspberry Pi 4's processor; qemu's default would emulate vector units that no such board has
    decisions "$folder/decisions.arm64" qemu-aarch64-static -cpu cortex-a72 "$binary"
    diff "$folder/decisions.amd64" "$folder/decisions.arm64" || fail "ARM and amd64 decide differently"
    echo "$(grep -c label "$folder/decisions.arm64") decisions of the demo on ARM, all as on amd64"
    # not where the package to deliver lies, which has the same name
    tools/packaging/build-deb.sh "$binary" arm64 "$folder/debian-check"
    ;;
*) fail "expected release, kernels or check, found $mode" ;;
esac
ls -l "$binary"
