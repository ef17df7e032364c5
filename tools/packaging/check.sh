#!/usr/bin/env bash
# Checks what the Debian package installs: the unit by systemd's own tools, the package by dpkg-deb.
#
#   tools/packaging/check.sh [BINARY]    (default: the newest fer-edge in the target folder)
#
# FER_NO_SKIP=1 turns a missing tool into a failure.
set -euo pipefail
cd "$(dirname "$0")/../.."

# systemd-analyze's exposure in tenths: below this the unit counts as well protected.
most_exposure=20
here=tools/packaging
target=${CARGO_TARGET_DIR:-target}
binary=${1:-$(ls -t "$target"/{release,debug}/fer-edge 2>/dev/null | head -n 1 || true)}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

fail() {
    echo "packaging: $*" >&2
    exit 1
}

skip() {
    [ "${FER_NO_SKIP:-0}" != 1 ] || fail "FER_NO_SKIP=1, but: $*"
    echo "SKIP: $*"
}

unit() {
    if ! command -v systemd-analyze >/dev/null; then
        skip "no systemd-analyze (Debian: systemd): the unit was not checked"
        return
    fi
    # verify wants the program to be there
    sed "s|^ExecStart=/usr/bin/fer-edge|ExecStart=$(realpath "$binary")|" $here/fer-edge.service \
        >"$work/fer-edge.service"
    systemd-analyze verify --man=no "$work/fer-edge.service" 2>"$work/verify" || true
    # other units of this machine are none of our business
    if grep -F fer-edge.service "$work/verify"; then
        fail "systemd-analyze verify complains"
    fi
    systemd-analyze security --offline=yes --threshold=$most_exposure --no-pager \
        "$work/fer-edge.service" | tail -n 1
}

scripts() {
    for script in $here/debian/{postinst,prerm,postrm} $here/*.sh tools/cross-aarch64.sh; do
        "$(sed -n '1s|^#!\(/usr/bin/env \)\?||p' "$script")" -n "$script" || fail "$script is broken"
    done
}

# Links from one page to another that isn't installed.
dead_links() {
    local page link
    for page in "$1"/*.md; do
        for link in $(grep -oE '\]\([^)#]+' "$page" | cut -c3- | grep -v '^https\?:' | sort -u || true); do
            [ -e "$1/$link" ] || fail "$(basename "$page") links to $link, which is not installed"
        done
    done
}

package() {
    if ! command -v dpkg-deb >/dev/null || ! command -v readelf >/dev/null; then
        skip "no dpkg-deb or readelf (Debian: dpkg, binutils): no package was built"
        return
    fi
    local deb again
    deb=$($here/build-deb.sh "$binary" "$(dpkg --print-architecture)" "$work/a")
    # the builder's umask makes no difference either
    again=$(umask 077 && $here/build-deb.sh "$binary" "$(dpkg --print-architecture)" "$work/b")
    if ! cmp "$deb" "$again"; then
        for package in "$deb" "$again"; do
            dpkg-deb --control "$package" "$package.control"
            dpkg-deb --contents "$package" >"$package.control/contents"
        done
        diff -r "$deb.control" "$again.control" || true
        fail "two builds of one package differ"
    fi
    dpkg-deb --contents "$deb" | awk '{print $1, $2, $6}'
    dpkg-deb --info "$deb" control
    dpkg-deb --extract "$deb" "$work/root"
    # ring's licence demands its text in every copy, and so does that of the code which ring took from others
    gzip -dc "$work/root/usr/share/doc/fer-edge/third-party.gz" >"$work/third-party"
    local words
    for words in '  ring ' 'Copyright 2015-2025 Brian Smith' 'the fiat-crypto authors'; do
        grep -qF "$words" "$work/third-party" || fail "the licences of what the program links lack: $words"
    done
    # in the program for ARM only
    $here/third_party.py arm64 >"$work/third-party-arm64"
    grep -qF '  rppal ' "$work/third-party-arm64" || fail "the licences of what the ARM program links lack rppal's"
    dead_links "$work/root/usr/share/doc/fer-edge"
    (cd "$work/root" && "$work/root/usr/bin/fer-edge" config check --config etc/fer/fer-edge.toml)
    "$work/root/usr/bin/fer-edge" run --frames 3 demo
}

[ -n "$binary" ] || fail "no fer-edge was built: cargo build --bin fer-edge"
unit
scripts
package
echo "packaging: ok"
