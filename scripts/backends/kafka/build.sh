#!/bin/bash
# Gets the Apache Kafka that `make acceptance` has brokers of: the jars that pom.xml beside this
# script pins, each held against its sum in the file sums, and a Java to run them. The folder of
# the jars is all of stdout; see lib.sh.
set -euo pipefail

readonly COPY=org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies
readonly JAVA_LEAST=11	# what Kafka 3.9 asks for; Debian 12's default is 17, 13's is 21

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
name=kafka
. "$here/../lib.sh"

has_java() {
	local have

	have=$(java -version 2>&1 | sed -n '1s/.*"\([0-9]*\)[."].*/\1/p')
	[ "${have:-0}" -ge "$JAVA_LEAST" ]
}

are_pinned() {
	cd "$libs" && sha256sum --quiet --strict -c "$here/sums" &&
		[ "$(ls | wc -l)" = "$(wc -l <"$here/sums")" ]
}

fetch() {
	local start=$SECONDS

	command -v mvn >/dev/null || packages_need maven
	say "getting the jars of $version (46 MB)"
	rm -rf "$libs"
	quietly fetch nice -n 10 mvn -q -B -f "$here/pom.xml" "$COPY" -DoutputDirectory="$libs" ||
		die "Maven failed: $(last_words fetch)"
	quietly sums are_pinned || die "not the jars that were pinned: $(last_words sums)"
	say "got $libs, $((SECONDS - start)) s"
}

version=$(awk -F '[<>]' '/<artifactId>kafka_/ { getline; print $3 }' "$here/pom.xml")
cache_open "kafka-$version"
libs=$dir/libs
has_java || packages_need default-jre-headless
key=$(cd "$here" && sha256sum pom.xml sums build.sh)
if ! cache_holds "$key" "$libs"; then
	rm -f "$dir/key"
	(fetch)
	echo "$key" >"$dir/key"
fi
echo "$libs"
