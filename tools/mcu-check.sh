#!/usr/bin/env bash
# Compiles the receiver for a microcontroller for a target that has no operating system and no std, which
# proves that neither it nor fer-wire needs one. The target comes from rustup, once.
set -euo pipefail
cd "$(dirname "$0")/.."
target=${1:-thumbv6m-none-eabi}
rustup target list --installed | grep -qx "$target" || rustup target add "$target"
cargo build --locked -p fer-receiver --target "$target"
