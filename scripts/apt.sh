# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash
#
# Sourced after lib.sh. Private apt roots: packages of other suites and of arm64, from the mirror that
# the machine already uses, without touching the machine's own apt.

# The main archive as apt itself reads the machine's sources, whichever format they are in.
apt_mirror() {
	# shellcheck disable=SC2016 # names for apt to fill in
	apt-get indextargets --format '$(RELEASE) $(COMPONENT) $(REPO_URI)' 'Created-By: Packages' |
		awk -v want="bookworm|stable|oldstable" \
			'$2 == "main" && $1 ~ "^(" want ")$" { print $3; exit }'
}

# The same of its security archive; nothing where the machine has none.
apt_security_mirror() {
	# shellcheck disable=SC2016 # names for apt to fill in
	apt-get indextargets --format '$(RELEASE) $(COMPONENT) $(REPO_URI)' 'Created-By: Packages' |
		awk '$2 == "main" && $1 ~ /-security$/ { print $3; exit }'
}

# Proxies and timeouts of the machine hold for us as well.
apt_machine_settings() {
	apt-config dump | grep -E '^Acquire::(https?|ftp|Retries|ForceIPv|Check-|Max-Default-Age)' || true
}

# apt_root_files ROOT ARCH TYPES SUITE...: of APT_COMPONENTS, or main
apt_root_files() {
	local root=$1 arch=$2 types=$3 mirror

	shift 3
	mirror=$(apt_mirror)
	[[ -n $mirror ]] || die "apt has no source with bookworm's main component;" \
		"add one to /etc/apt/sources.list, as 'man sources.list' shows"
	mkdir -p "$root"/etc/{sources.list.d,preferences.d,apt.conf.d,trusted.gpg.d} \
		"$root"/state/lists/partial "$root"/cache/archives/partial
	: >"$root/state/status"
	cat >"$root/etc/sources.list.d/quiver.sources" <<-END
		Types: $types
		URIs: $mirror
		Suites: $*
		Components: ${APT_COMPONENTS:-main}
		Architectures: $arch
		Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
	END
	{
		apt_machine_settings
		cat <<-END
			Dir "$root";
			Dir::Etc "$root/etc";
			Dir::Etc::main "";
			Dir::Etc::sourcelist "/dev/null";
			Dir::Etc::netrc "/etc/apt/auth.conf";
			Dir::Etc::netrcparts "/etc/apt/auth.conf.d";
			Dir::State "$root/state";
			Dir::State::status "$root/state/status";
			Dir::Cache "$root/cache";
			APT::Architecture "$arch";
			APT::Architectures { "$arch"; };
			APT::Sandbox::User "root";
			Acquire::Languages "none";
			Acquire::Retries "2";
		END
	} >"$root/apt.conf"
}

# apt_root FOLDER ARCH TYPES SUITE...: make FOLDER/apt.conf, to be named in APT_CONFIG, and read the
# package lists. TYPES is deb, deb-src or both.
apt_root() {
	local root=$1 arch=$2 types=$3

	shift 3
	apt_root_files "$root" "$arch" "$types" "$@"
	APT_CONFIG=$root/apt.conf step "reading the package lists of $* ($arch)" \
		apt-get update -o APT::Update::Error-Mode=any
}

# fetch_debs ROOT FOLDER PACKAGE...: just these packages
fetch_debs() {
	local root=$1 dir=$2

	shift 2
	mkdir -p "$dir"
	(cd "$dir" && APT_CONFIG=$root/apt.conf apt-get download "$@")
}

# unpack_debs FOLDER TO: no maintainer scripts, no package database. base-files goes first, because it
# holds the links that make /bin and /lib one with /usr.
unpack_debs() {
	local deb

	for deb in "$1"/base-files_*.deb "$1"/*.deb; do
		[[ -e $deb ]] || continue
		dpkg-deb -x "$deb" "$2"
	done
}

# fetch_tree ROOT FOLDER PACKAGE...: these packages and all that they depend on
fetch_tree() {
	local root=$1 dir=$2

	shift 2
	mkdir -p "$dir/partial"
	APT_CONFIG=$root/apt.conf apt-get install -y --download-only --no-install-recommends \
		-o Dir::Cache::archives="$dir" "$@"
}

mark_plumbing
