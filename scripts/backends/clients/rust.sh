#!/bin/bash
# Builds tests/clients/rust, with the librdkafka that the crate rdkafka compiles into it, stripped.
# Prints the path of the program.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source=$here/../../../tests/clients/rust
name=rust-client
. "$here/../lib.sh"
wanted=$(sed -n 's/^rust-version = "\(.*\)"$/\1/p' "$source/Cargo.toml")

# Sets $cargo to one that is new enough; fails when there is none.
cargo_find() {
	local candidate

	for candidate in "$(command -v cargo || true)" "$HOME/.cargo/bin/cargo" /usr/bin/cargo; do
		[ -x "$candidate" ] || continue
		cargo=$candidate
		! at_least "$(cd / && "$cargo" --version 2>/dev/null | awk '{ print $2 }')" "$wanted" ||
			return 0
	done
	return 1
}

# Debian 12 has the newer compiler under another name, for its browsers' sake.
cargo_need() {
	cargo_find && return
	if [ "$(. /etc/os-release && echo "${VERSION_ID-}")" = 12 ]; then
		packages_need cargo-web rustc-web
	else
		packages_need cargo rustc
	fi
	cargo_find || die "no cargo $wanted or later: install one"
}

cache_open clients/rust
key=$(cd "$source" && key_of Cargo.toml Cargo.lock src/main.rs "$here/rust.sh")
if ! cache_holds "$key" "$dir/client"; then
	rm -f "$dir/key"
	packages_need gcc g++ make libc6-dev python3
	cargo_need
	start=$SECONDS
	(cd "$source" && CARGO_TARGET_DIR=$dir/target quietly build nice -n 10 "$cargo" build \
		--release --locked -j 2) || die "the build failed: $(last_words build)"
	cp "$dir/target/release/client" "$dir/client"
	rm -rf "$dir/target"
	echo "$key" >"$dir/key"
	say "built with $cargo, $((SECONDS - start)) s"
fi
echo "$dir/client"
