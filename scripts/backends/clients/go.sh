#!/bin/bash
# Builds tests/clients/go, whose librdkafka is the static one that confluent-kafka-go brings: linked
# as usual, and stripped by the linker. Prints the folder of `client` and `client-stripped`.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source=$here/../../../tests/clients/go
name=go-client
. "$here/../lib.sh"
wanted=$(awk '$1 == "go" { print $2 }' "$source/go.mod")

go_build() { # OUTPUT [FLAG...]
	local output=$1

	shift
	(cd "$source" && GOTOOLCHAIN=$toolchain CGO_ENABLED=1 quietly build nice -n 10 "$go" build \
		-trimpath "$@" -o "$dir/$output" .) ||
		die "the build failed: $(last_words build)"
}

cache_open clients/go
key=$(cd "$source" && key_of go.mod go.sum main.go "$here/go.sh")
if ! cache_holds "$key" "$dir/client"; then
	rm -f "$dir/key"
	packages_need gcc libc6-dev
	go_need "$wanted"
	start=$SECONDS
	go_build client
	go_build client-stripped -ldflags='-s -w'
	echo "$key" >"$dir/key"
	say "built, $((SECONDS - start)) s"
fi
echo "$dir"
