#!/bin/sh
# qemu-img of Debian 12 (qemu-utils 1:7.2+dfsg-7+deb12u18+b3) and of Debian 13 (1:10.0.13+ds-0+deb13u1): `resize` with a
# size that has a minus.
#
# Guess: `resize FILE --shrink -1M` goes on as it always did: the size comes last.
# Seen:  7.2.22 takes it; 10.0.13 calls it an invalid option. There a size with a minus is one right behind the file
#        alone: `resize FILE -1M --shrink` and `resize --shrink FILE -1M` work. qemu-img 11.1.3 does as 10.0.13.
# So:    options belong before the file, for both.
set -eu
D=$(mktemp -d); trap 'rm -rf "$D"' EXIT; cd "$D"
mirror=$(apt-get indextargets --format '$(REPO_URI)' | grep -v security | head -n 1)
get() { # suite, version
  mkdir -p "$1/lists/partial" "$1/cache/archives/partial"
  : > "$1/status"
  echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $1 main" > "$1/sources.list"
  set -- "$1" "$2" -qq -o Dir::Etc::SourceList="$PWD/$1/sources.list" -o Dir::Etc::SourceParts=/dev/null \
    -o Dir::State::Lists="$PWD/$1/lists" -o Dir::State::status="$PWD/$1/status" -o Dir::Cache="$PWD/$1/cache" \
    -o Acquire::Languages=none -o APT::Sandbox::User=
  suite=$1 version=$2; shift 2
  apt-get "$@" update >/dev/null 2>&1
  apt-get "$@" -y --no-install-recommends --download-only install "qemu-utils=$version" >/dev/null 2>&1
  for package in "$suite"/cache/archives/*.deb; do dpkg -x "$package" "$suite/root"; done
}
get bookworm 1:7.2+dfsg-7+deb12u18+b3
get trixie 1:10.0.13+ds-0+deb13u1
img() { # suite, arguments
  root=$PWD/$1/root; shift
  loader=$(find "$root" -name 'ld-linux-x86-64.so.2' | head -n 1)
  "$loader" --argv0 qemu-img --library-path "$root/usr/lib/x86_64-linux-gnu:$root/lib/x86_64-linux-gnu" \
    "$root/usr/bin/qemu-img" "$@"
}
try() { # suite, wanted exit code, arguments of resize
  suite=$1 wanted=$2; shift 2
  rm -f disk; img bookworm create -q -f qcow2 disk 4M
  code=0; said=$(img "$suite" resize "$@" 2>&1 | head -n 1) || code=$?
  size=$(img bookworm info disk | sed -n 's/^virtual size: \(.*\) (.*/\1/p')
  echo "$suite: resize $*: $size, $said"
  [ "$size" = "$wanted" ]
}
img bookworm --version | head -1
img trixie --version | head -1
try bookworm '3 MiB' disk --shrink -1M
try trixie '4 MiB' disk --shrink -1M
for suite in bookworm trixie; do try "$suite" '3 MiB' --shrink disk -1M; done
try trixie '3 MiB' disk -1M --shrink
try bookworm '4 MiB' disk -1M --shrink
