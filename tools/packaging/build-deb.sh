#!/usr/bin/env bash
# Packs a built fer-edge into a Debian package, by dpkg-deb; cargo and python3 say whose code is in it.
#
#   tools/packaging/build-deb.sh BINARY ARCHITECTURE [FOLDER]
#   tools/packaging/build-deb.sh target/release/fer-edge amd64
#
# Prints the package's path. The same inputs give the same bytes: times are those of the last commit.
set -euo pipefail
# who installs it reads what is in it, whatever the builder's umask
umask 022
cd "$(dirname "$0")/../.."

binary=${1:?BINARY}
architecture=${2:?ARCHITECTURE: amd64 or arm64}
out=${3:-target/debian}
here=tools/packaging
version=$(sed -n '/^\[workspace.package\]/,/^\[/s/^version = "\(.*\)"/\1/p' Cargo.toml)
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
export SOURCE_DATE_EPOCH

fail() {
    echo "build-deb: $*" >&2
    exit 1
}

case $(od -An -t x2 -j 18 -N 2 "$binary" | tr -d ' ') in
003e) [ "$architecture" = amd64 ] || fail "$binary is for amd64, not $architecture" ;;
00b7) [ "$architecture" = arm64 ] || fail "$binary is for arm64, not $architecture" ;;
*) fail "$binary is no program for amd64 or arm64" ;;
esac

# The C library it needs is the newest of the versions its symbols name; a static program needs none.
glibc=$(readelf -W --version-info "$binary" | grep -o 'GLIBC_[0-9.]*' | sort -uV | tail -n 1 | cut -d_ -f2 || true)
# adduser makes the user where systemd-sysusers isn't.
depends=adduser
[ -z "$glibc" ] || depends="$depends, libc6 (>= $glibc), libgcc-s1"

root=$(mktemp -d)
chmod 755 "$root"
trap 'rm -rf "$root"' EXIT
put() { install -D -m "$1" "$2" "$root/$3"; }
put 755 "$binary" usr/bin/fer-edge
put 644 $here/fer-edge.service usr/lib/systemd/system/fer-edge.service
put 644 $here/sysusers.conf usr/lib/sysusers.d/fer-edge.conf
put 644 $here/modules-load.conf usr/lib/modules-load.d/fer-edge.conf
put 644 $here/udev.rules usr/lib/udev/rules.d/60-fer-edge.rules
put 640 $here/fer-edge.toml etc/fer/fer-edge.toml
install -d -m 755 "$root/etc/fer/conf.d"
doc=usr/share/doc/fer-edge
put 644 $here/jetson.conf $doc/examples/jetson.conf
repository=$(sed -n 's/^repository = "\(.*\)"/\1/p' Cargo.toml)
pages='edge config service privacy json-lines cameras mqtt serial kiosk'
# Links to what isn't installed lead to the repository.
with_links() {
    sed -E \
        -e 's#\]\(\.\./#](@/#g' \
        -e 's#\]\(([a-z-]+\.(md|png|svg))#](@/docs/\1#g' \
        -e "s#\]\(@/docs/((${pages// /|})\.md)#](\1#g" \
        -e "s#\]\(@/#]($repository/blob/main/#g" "$1"
}
for page in $pages; do
    with_links "docs/$page.md" >"$root/page.md"
    put 644 "$root/page.md" "$doc/$page.md"
    rm "$root/page.md"
done
put 644 edge/NOTICE $doc/NOTICE
{
    printf 'Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n'
    printf 'Source: https://github.com/fer-rs/fer\n\nFiles: *\nCopyright: the fer authors\n'
    printf 'License: Expat or Apache-2.0\n On Debian systems: /usr/share/common-licenses/Apache-2.0\n'
    printf 'Comment: parts by others are listed in %s/NOTICE, the crates that the program links, with\n' /$doc
    printf ' their licences, in third-party.gz beside it.\n'
} >"$root/$doc/copyright"
$here/third_party.py "$architecture" | gzip -9n >"$root/$doc/third-party.gz"
gzip -9n <CHANGELOG.md >"$root/$doc/changelog.gz"

# stripped here: debug information is two thirds of a development build
strip=strip
[ "$architecture" = "$(dpkg --print-architecture)" ] || strip=aarch64-linux-gnu-strip
$strip --strip-unneeded "$root/usr/bin/fer-edge"

install -d -m 755 "$root/DEBIAN"
# counted from lengths as dpkg-gencontrol does: the blocks du sees depend on the file system and on when it writes
size=$(find "$root" -path "$root/DEBIAN" -prune -o -printf '%y %s\n' |
    awk '{ kib += $1 == "f" ? int(($2 + 1023) / 1024) : 1 } END { print kib }')
sed -e "s/@VERSION@/$version/" -e "s/@ARCHITECTURE@/$architecture/" -e "s/@SIZE@/$size/" \
    -e "s/@DEPENDS@/$depends/" $here/debian/control.in >"$root/DEBIAN/control"
echo /etc/fer/fer-edge.toml >"$root/DEBIAN/conffiles"
for script in postinst prerm postrm; do
    install -m 755 $here/debian/$script "$root/DEBIAN/$script"
done
(cd "$root" && find etc usr -type f -print0 | LC_ALL=C sort -z | xargs -0 md5sum >DEBIAN/md5sums)
find "$root" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +

mkdir -p "$out"
package=$out/fer-edge_${version}_$architecture.deb
dpkg-deb --root-owner-group -Zxz --build "$root" "$package" >/dev/null
echo "$package"
