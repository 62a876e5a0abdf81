# Runs what `make check` built. The mounts of a run are made in a mount namespace of its own and end with it.
# usage: sh check/run.sh BUILD-DIRECTORY
set -eu
build=$(cd "$1" && pwd)
export ASAN_OPTIONS=detect_leaks=1 UBSAN_OPTIONS=print_stacktrace=1

"$build/check/wire-fuzz" check/seeds
"$build/check/tree-check"
"$build/check/tree-fuzz"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

expect() {
	status=0
	"$@" >"$work/out" 2>"$work/err" <"$work/in" || status=$?
	if [ "$status" -ne "$wanted" ]; then
		echo "expected exit status $wanted, not $status: $*" >&2
		cat "$work/out" "$work/err" >&2
		exit 1
	fi
}

# Malformed requests and arguments, for the program with sanitizers and the ones that pretend to be on old kernels.
for helper in "$build/check/rootwright-helper" "$build/rootwright-helper-612" "$build/rootwright-helper-506"; do
	wanted=64
	: >"$work/in"
	expect "$helper"
	expect "$helper" run
	expect "$helper" run --allow /
	expect "$helper" run --allow "$work"
	for request in 'unmount\0\0' 'mount\0target=/x\0\0' "unmount\\0target=$work/../x\\0\\0" \
		"unmount\\0target=$work/a\\0"; do
		printf "$request" >"$work/in"
		expect "$helper" run --allow "$work"
	done
	wanted=0
	expect "$helper" --version
	expect "$helper" probe --allow "$work" "$work"
	grep -q '"ok":true,"directory"' "$work/out"
	wanted=125
	expect "$helper" exec --root /nonexistent/neither -- true
done

# Real mounts, where this is root.
if [ "$(id -u)" = 0 ]; then
	for helper in "$build/check/rootwright-helper" "$build/rootwright-helper-612" "$build/rootwright-helper-506"; do
		rm -rf "$work/s"
		mkdir -p "$work/s/a" "$work/s/b,: \\c" "$work/s/u,:" "$work/s/w\\" "$work/s/t"
		echo low >"$work/s/b,: \\c/file"
		printf 'overlay\0target=%s/t\0lower=%s/a\0lower=%s/b,: \\c\0upper=%s/u,:\0work=%s/w\\\0\0remount\0target=%s/t\0readonly=true\0\0' \
			"$work/s" "$work/s" "$work/s" "$work/s" "$work/s" "$work/s" >"$work/request"
		wanted=0
		: >"$work/in"
		expect unshare -m sh -c '"$1" run --allow "$2" <"$3" && test "$(cat "$2/t/file")" = low && ! touch "$2/t/new"' \
			sh "$helper" "$work/s" "$work/request"
			# Flags that come from outside a user namespace are locked; a read-only bind must say them again.
		printf 'bind\0source=%s/t\0target=%s/a\0readonly=true\0\0' "$work/s" "$work/s" >"$work/request"
		expect unshare -m sh -c 'mount -t tmpfs -o nosuid,nodev,noexec,noatime none "$2/t" && export ASAN_OPTIONS=detect_leaks=0 &&
			unshare -U -r -m sh -c '"'"'"$1" run --allow "$2" <"$3" && ! touch "$2/a/new"'"'"' sh "$1" "$2" "$3"' \
			sh "$helper" "$work/s" "$work/request"
	done
fi
echo "helper: all checks passed"
