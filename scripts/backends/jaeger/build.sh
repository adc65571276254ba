#!/bin/bash
# Builds the Jaeger that `make acceptance` asks questions of, from the pinned go.mod and go.sum
# beside this script. It has no source of its own: the module only names the version.
#
# What it does goes to stderr, a line each; the path of the binary is all of stdout. lib.sh tells
# where the binary lies and when it is built again.
set -euo pipefail

readonly TOOL=github.com/jaegertracing/jaeger/cmd/jaeger

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
name=jaeger
. "$here/../lib.sh"
version=$(awk '$1 == "require" && $2 ~ /jaeger$/ { print $3 }' "$here/go.mod")
wanted=$(awk '$1 == "go" { print $2 }' "$here/go.mod")

# Without cgo it needs no C compiler, and at low priority it disturbs nobody.
go_build() {
	(cd "$here" && GOTOOLCHAIN=$toolchain CGO_ENABLED=0 quietly build nice -n 10 "$go" build \
		-trimpath -ldflags='-s -w' -o "$binary.new" "$TOOL")
}

build() {
	local start=$SECONDS

	go_need "$wanted"
	say "building $version with $go (minutes when cold)"
	if ! go_build; then
		say "once more, for a download may have failed: $(tail -n 1 "$dir/build.log")"
		go_build || die "the build failed: $(last_words build)"
	fi
	mv "$binary.new" "$binary"
	say "built $binary, $((SECONDS - start)) s"
}

cache_open "jaeger-$version"
binary=$dir/jaeger
key=$(cd "$here" && key_of go.mod go.sum build.sh)
if cache_holds "$key" "$binary"; then
	say "$version is built already: $binary"
else
	rm -f "$dir/key"
	build
	echo "$key" >"$dir/key"
fi
echo "$binary"
