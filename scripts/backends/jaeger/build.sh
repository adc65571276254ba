#!/bin/bash
# Builds the Jaeger that `make acceptance` asks questions of, from the pinned go.mod and go.sum
# beside this script. It has no source of its own: the module only names the version.
#
# What it does goes to stderr, a line each; the path of the binary is all of stdout. The binary
# lies in ${SPANSTITCH_CACHE:-$HOME/.cache/spanstitch}, kept between runs, and is built again only
# when go.mod, go.sum or this script changed.
set -euo pipefail

readonly TOOL=github.com/jaegertracing/jaeger/cmd/jaeger
# Since 1.21 an older go gets, from the module proxy, the toolchain that a go.mod asks for.
readonly SELF_UPDATING=1.21

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
version=$(awk '$1 == "require" && $2 ~ /jaeger$/ { print $3 }' "$here/go.mod")
wanted=$(awk '$1 == "go" { print $2 }' "$here/go.mod")
dir=${SPANSTITCH_CACHE:-${HOME:?set HOME or SPANSTITCH_CACHE}/.cache/spanstitch}/jaeger-$version
binary=$dir/jaeger

say() { echo "jaeger: $*" >&2; }

die() {
	say "$*"
	exit 1
}

# at_least HAVE LEAST: whether version HAVE is LEAST or later.
at_least() { [ "$(printf '%s\n%s\n' "$1" "$2" | sort -V | head -n 1)" = "$2" ]; }

# GOTOOLCHAIN=local: the version of this very program, not of one that it would fetch.
go_version() { GOTOOLCHAIN=local "$1" env GOVERSION 2>/dev/null | sed 's/^go//'; }

# Sets $go to the newest go here that is new enough to begin with; fails when there is none.
find_go() {
	local candidate have best=$SELF_UPDATING

	go=
	for candidate in "$(command -v go || true)" /usr/local/go/bin/go /usr/lib/go-*/bin/go; do
		[ -x "$candidate" ] || continue
		have=$(cd / && go_version "$candidate")
		if [ -n "$have" ] && at_least "$have" "$best"; then
			go=$candidate best=$have
		fi
	done
	[ -n "$go" ]
}

# Debian 12 has only 1.19 by itself; its backports suite has 1.23. Debian 13 needs no suite named.
install_go() {
	local suite have remedy="install Go $wanted or later, or Debian's backports golang-go"
	local from=()

	[ "$(id -u)" = 0 ] && command -v apt-get >/dev/null ||
		die "no Go $SELF_UPDATING or later, and cannot install one (not root on Debian): $remedy"
	suite=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")-backports
	if apt-cache policy | grep -q "n=$suite,"; then
		from=(-t "$suite")
	fi
	have=$(apt-cache "${from[@]}" policy golang-go | sed -n 's/^ *Candidate: \([0-9]*:\)\?//p')
	at_least "${have:-0}" "$SELF_UPDATING" ||
		die "no Go $SELF_UPDATING or later, and Debian offers '${have:-none}' here: $remedy"
	say "no Go $SELF_UPDATING or later: installing Debian's golang-go $have"
	DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
		"${from[@]}" golang-go >"$dir/apt.log" 2>&1 ||
		die "apt-get failed: $(tail -n 1 "$dir/apt.log") (all of it in $dir/apt.log); $remedy"
	find_go || die "golang-go is installed and no Go is found: $remedy"
}

# GOTOOLCHAIN says outright whether this build may fetch another toolchain, whatever the machine
# was set to. Without cgo it needs no C compiler, and at low priority it disturbs nobody.
go_build() { # TOOLCHAIN
	(cd "$here" && GOTOOLCHAIN=$1 CGO_ENABLED=0 nice -n 10 "$go" build -trimpath \
		-ldflags='-s -w' -o "$binary.new" "$TOOL") >"$dir/build.log" 2>&1 9>&-
}

build() {
	local have start=$SECONDS toolchain=local

	find_go || install_go
	have=$(cd / && go_version "$go")
	if ! at_least "$have" "$wanted"; then
		toolchain=auto
		say "$go is $have: it fetches the $wanted that go.mod asks for as a Go module"
	fi
	say "building $version with $go $have (minutes when cold)"
	if ! go_build "$toolchain"; then
		say "once more, for a download may have failed: $(tail -n 1 "$dir/build.log")"
		go_build "$toolchain" ||
			die "the build failed: $(tail -n 3 "$dir/build.log" | tr -s "\n\t" " ")(all in $dir/build.log)"
	fi
	mv "$binary.new" "$binary"
	say "built $binary, $((SECONDS - start)) s"
}

mkdir -p "$dir"
exec 9>"$dir/lock"
flock 9	# two runs at once build once
key=$(cd "$here" && sha256sum go.mod go.sum build.sh)
if [ -x "$binary" ] && [ "$(cat "$dir/key" 2>/dev/null)" = "$key" ]; then
	say "$version is built already: $binary"
else
	rm -f "$dir/key"
	build
	echo "$key" >"$dir/key"
fi
echo "$binary"
