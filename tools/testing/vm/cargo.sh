# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# Cargo inside the build root: for the demo and for the tests of the pure files
# on the host. Works on a copy of the sources; crates come by way of the
# host's network settings and are kept in the cache.

# in_cargo DIRECTORY COMMAND...: runs a command in a directory of the work tree.
in_cargo() {
	CARGO_COPY=$CACHE/cargo-$(tree_key)
	locked "cargo-$(tree_key)" cargo_run "$@"
}

# The certificates that this machine trusts.
cargo_certificates() {
	local file
	for file in "${CARGO_HTTP_CAINFO:-}" "${SSL_CERT_FILE:-}" /etc/ssl/certs/ca-certificates.crt; do
		if [ -n "$file" ] && [ -e "$file" ]; then
			readlink -f "$file"
			return
		fi
	done
	die "this machine has no certificates" "Install the package ca-certificates."
}

cargo_run() {
	local directory=$1 certificates file
	shift
	certificates=$(cargo_certificates)
	mkdir -p "$CARGO_COPY/tree" "$CARGO_COPY/target" "$CACHE/cargo-home"
	in_root "rw:$CARGO_COPY:/cargo" -- bash /vfio/tools/testing/vm/copy-sources /vfio /cargo/tree ||
		die "the sources could not be copied to $CARGO_COPY"
	# Where the host's user gets crates from.
	file=${CARGO_HOME:-${HOME:-/root}/.cargo}/config.toml
	if [ -e "$file" ]; then
		cp "$file" "$CACHE/cargo-home/config.toml"
	fi
	in_root "rw:$CARGO_COPY:/cargo" "rw:$CACHE/cargo-home:/cargo-home" \
		"ro:$certificates:/run/ca-certificates.crt" "ro:$(readlink -f /etc/resolv.conf):/etc/resolv.conf" -- \
		env CARGO_HOME=/cargo-home CARGO_TARGET_DIR=/cargo/target \
		CARGO_HTTP_CAINFO=/run/ca-certificates.crt SSL_CERT_FILE=/run/ca-certificates.crt \
		CARGO_NET_RETRY=5 CARGO_TERM_COLOR=never \
		sh -euc 'cd "/cargo/tree/$1"; shift; exec "$@"' sh "$directory" "$@"
}

demo_build() {
	quietly "$CACHE/log/demo-$(tree_key).log" in_cargo tools/demo cargo build --locked --release || {
		say "error: the demo program did not build; if crates could not be fetched, check the network"
		return 1
	}
}

# demo_build_beside: starts that; demo_ready waits for it.
demo_build_beside() {
	say "==> demo program (beside what follows)"
	set -m
	demo_build </dev/null &
	demo_builder=$!
	set +m
	trap '[ -z "$demo_builder" ] || kill -TERM -- "-$demo_builder" 2>/dev/null' EXIT
}

demo_built() {
	if [ -z "${demo_builder:-}" ]; then
		demo_build
		return
	fi
	local rc=0
	wait "$demo_builder" || rc=$?
	demo_builder=
	return "$rc"
}

# demo_ready: sets DEMO, the demo program.
demo_ready() {
	CARGO_COPY=$CACHE/cargo-$(tree_key)
	step "demo program" demo_built || exit 1
	DEMO=$(find "$CARGO_COPY/target" -path '*/release/vfio-demo' -type f | head -n 1)
	[ -n "$DEMO" ] || die "cargo built no vfio-demo"
}
