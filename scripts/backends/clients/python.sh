#!/bin/bash
# Installs the confluent-kafka of tests/clients/python/requirements.txt, a wheel with a librdkafka of
# its own, beside Debian's Python. Prints the path of the interpreter.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source=$here/../../../tests/clients/python
name=python-client
. "$here/../lib.sh"
python=/usr/bin/python3

cache_open clients/python
key="$(cd "$source" && key_of requirements.txt "$here/python.sh")
$("$python" --version)"
if ! cache_holds "$key" "$dir/venv"; then
	rm -rf "$dir/key" "$dir/venv"
	packages_need python3-venv
	start=$SECONDS
	quietly venv "$python" -m venv "$dir/venv" || die "no environment: $(last_words venv)"
	quietly pip "$dir/venv/bin/pip" install --no-deps --only-binary=:all: \
		-r "$source/requirements.txt" || die "pip failed: $(last_words pip)"
	quietly import "$dir/venv/bin/python" -c 'import confluent_kafka' ||
		die "it cannot be imported: $(last_words import)"
	echo "$key" >"$dir/key"
	say "installed, $((SECONDS - start)) s"
fi
echo "$dir/venv/bin/python"
