#!/bin/bash
# Installs what tests/clients/node needs: node-rdkafka, which compiles a shared librdkafka of its
# own. Prints the folder of modules, for NODE_PATH.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source=$here/../../../tests/clients/node
name=node-client
. "$here/../lib.sh"

# Its own makefile knows no order between configuring librdkafka and compiling it, so with two jobs
# it fails: what it would do first is done before.
install_modules() {
	cd "$dir"
	npm ci --ignore-scripts --no-audit --no-fund
	cd node_modules/node-rdkafka
	node util/configure
	nice -n 10 make -j2 -C deps/librdkafka libs install
	cd "$dir"
	JOBS=2 nice -n 10 npm rebuild --foreground-scripts
	NODE_PATH=$dir/node_modules node -e "require('node-rdkafka')"
	# half a gigabyte of what only the build needs
	rm -rf node_modules/node-rdkafka/deps node_modules/node-rdkafka/build/Release/obj.target
}

# An addon serves the node that it was compiled for.
key() {
	(cd "$source" && key_of package.json package-lock.json "$here/node.sh")
	node --version 2>/dev/null || true
}

cache_open clients/node
if ! cache_holds "$(key)" "$dir/node_modules"; then
	rm -rf "$dir/key" "$dir/node_modules"
	packages_need g++ make python3
	command -v node >/dev/null || packages_need nodejs
	command -v npm >/dev/null || packages_need npm
	start=$SECONDS
	cp "$source/package.json" "$source/package-lock.json" "$dir"
	# A shell of its own: errexit does not hold in what stands before ||.
	export -f install_modules
	export dir
	quietly build bash -ec install_modules || die "the build failed: $(last_words build)"
	key >"$dir/key"
	say "built, $((SECONDS - start)) s"
fi
echo "$dir/node_modules"
