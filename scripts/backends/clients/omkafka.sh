#!/bin/bash
# Unpacks Debian's rsyslog with its module omkafka, and installs nothing: a log daemon that ran beside
# the machine's own would take its socket. Prints the folder that it lies in.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
name=omkafka
. "$here/../lib.sh"
# with the libraries that a machine without rsyslog may lack
readonly PACKAGES="rsyslog rsyslog-kafka libestr0 libfastjson4 liblognorm5"

download() {
	cd "$dir/packages"
	# without a user of its own for downloads, who may not write here
	apt-get -q -o APT::Sandbox::User=root download $PACKAGES
}

unpack() {
	local package

	rm -rf "$dir/packages" "$dir/root"
	mkdir -p "$dir/packages"
	if ! (quietly apt download); then
		quietly update apt-get -q update || die "apt-get update failed: $(last_words update)"
		(quietly apt download) || die "apt-get failed: $(last_words apt)"
	fi
	for package in "$dir"/packages/*.deb; do
		dpkg -x "$package" "$dir/root" >&2
	done
	rm -r "$dir/packages"
}

cache_open clients/omkafka
key="$(. /etc/os-release && echo "$ID ${VERSION_ID-}") $(key_of "$here/omkafka.sh")"
if ! cache_holds "$key" "$dir/root"; then
	rm -f "$dir/key"
	packages_need librdkafka1
	start=$SECONDS
	unpack
	echo "$key" >"$dir/key"
	say "unpacked, $((SECONDS - start)) s"
fi
echo "$dir/root"
