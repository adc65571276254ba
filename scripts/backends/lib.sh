# lib.sh: what the scripts that build back ends and clients share. Sourced, never run.
#
# Such a script sets $name, how its lines on stderr begin, and prints on stdout nothing but the path
# of what it made. That lies in ${SPANSTITCH_CACHE:-$HOME/.cache/spanstitch}, kept between runs,
# and is made again only when what it is made from changed.

# Since 1.21 an older go gets, from the module proxy, the toolchain that a go.mod asks for.
readonly GO_SELF_UPDATING=1.21

say() { echo "$name: $*" >&2; }

die() {
	say "$*"
	exit 1
}

# at_least HAVE LEAST: whether version HAVE is LEAST or later.
at_least() { [ "$(printf '%s\n%s\n' "$1" "$2" | sort -V | head -n 1)" = "$2" ]; }

# Sets $dir to the folder of this build, and waits until nobody else builds there.
cache_open() { # FOLDER
	dir=${SPANSTITCH_CACHE:-${HOME:?set HOME or SPANSTITCH_CACHE}/.cache/spanstitch}/$1
	mkdir -p "$dir"
	exec 9>"$dir/lock"
	flock 9
}

# What these files hold, wherever they lie: several clones share one cache.
key_of() { # FILE...
	cat "$@" | sha256sum
}

# Whether FILE was made from what KEY stands for.
cache_holds() { # KEY FILE
	[ -e "$2" ] && [ "$(cat "$dir/key" 2>/dev/null)" = "$1" ]
}

# Runs COMMAND with all that it says in $dir/LOG.log.
quietly() { # LOG COMMAND...
	local log=$dir/$1.log

	shift
	"$@" >"$log" 2>&1 9>&- </dev/null
}

# The end of what a command said, as one line.
last_words() { # LOG
	echo "$(tail -n 3 "$dir/$1.log" | tr -s '\n\t' ' ')(all of it in $dir/$1.log)"
}

is_installed() {
	dpkg-query -W -f '${Status}\n' "$1" 2>/dev/null | grep -q '^install ok installed$'
}

# Installs those of Debian's packages that are missing. It says whether that worked.
packages_install() { # [-t SUITE] PACKAGE...
	local apt=(apt-get -q -y -o DPkg::Lock::Timeout=300 --no-install-recommends)

	[ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || {
		echo "only root can install these on Debian: $*" >"$dir/apt.log"
		return 1
	}
	say "installing $*"
	DEBIAN_FRONTEND=noninteractive quietly apt "${apt[@]}" install "$@" ||
		{ quietly update apt-get -q update &&
			DEBIAN_FRONTEND=noninteractive quietly apt "${apt[@]}" install "$@"; }
}

packages_need() { # PACKAGE...
	local package missing=()

	for package in "$@"; do
		is_installed "$package" || missing+=("$package")
	done
	[ ${#missing[@]} -eq 0 ] || packages_install "${missing[@]}" ||
		die "cannot install ${missing[*]}: $(last_words apt)"
}

# GOTOOLCHAIN=local: the version of this very program, not of one that it would fetch.
go_version() { GOTOOLCHAIN=local "$1" env GOVERSION 2>/dev/null | sed 's/^go//'; }

# Sets $go to the newest go here that is new enough to begin with; fails when there is none.
go_find() {
	local candidate have best=$GO_SELF_UPDATING

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
go_install() { # WANTED
	local suite have remedy="install Go $1 or later, or Debian's backports golang-go"
	local from=()

	suite=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")-backports
	if apt-cache policy | grep -q "n=$suite,"; then
		from=(-t "$suite")
	fi
	have=$(apt-cache "${from[@]}" policy golang-go | sed -n 's/^ *Candidate: \([0-9]*:\)\?//p')
	at_least "${have:-0}" "$GO_SELF_UPDATING" ||
		die "no Go $GO_SELF_UPDATING or later, and Debian offers '${have:-none}' here: $remedy"
	packages_install "${from[@]}" golang-go || die "$(last_words apt); $remedy"
	go_find || die "golang-go is installed and no Go is found: $remedy"
}

# Sets $go, and $toolchain to what GOTOOLCHAIN must be for it: said outright, whatever the machine
# was set to, for only an older go may fetch another.
go_need() { # WANTED
	local have

	go_find || go_install "$1"
	have=$(cd / && go_version "$go")
	toolchain=local
	if ! at_least "$have" "$1"; then
		toolchain=auto
		say "$go is $have: it fetches the $1 that go.mod asks for as a Go module"
	fi
}
