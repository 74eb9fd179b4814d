#!/bin/bash
# Builds dalaba for other machines, or runs its unit tests as one of them.
#
#   ./cross.sh build arm64 armhf
#   ./cross.sh test arm64
#
# libasound for the target is fetched with lists of its own and unpacked under
# build/cross: the machine keeps one architecture.
set -euo pipefail
cd "$(dirname "$0")"
go=${GO:-go}

# target ARCH sets what gcc, Go and qemu call the architecture.
target() {
	arch=$1 goarm=
	case $arch in
	arm64) triple=aarch64-linux-gnu goarch=arm64 qemu=qemu-aarch64 ;;
	armhf) triple=arm-linux-gnueabihf goarch=arm goarm=7 qemu=qemu-arm ;;
	*) echo "不认识的架构 / no such architecture: $arch (arm64, armhf)" >&2; exit 2 ;;
	esac
	root=$PWD/build/cross/$arch
	./install.sh "gcc-$triple:/usr/bin/$triple-gcc" "libc6-dev-$arch-cross:/usr/$triple/lib/libc.so.6" binutils:/usr/bin/readelf
	libasound
	export CGO_ENABLED=1 GOOS=linux GOARCH=$goarch GOARM=$goarm
	export CC="$triple-gcc -I$root/usr/include -L$root/usr/lib/$triple"
}

# libasound unpacks headers and library of the target into $root.
libasound() {
	[ ! -e "$root/usr/lib/$triple/libasound.so" ] || return 0
	rm -rf "$root"
	mkdir -p "$root"/apt/{state/lists/partial,cache/archives/partial}
	: >"$root/apt/state/status"
	local own=(-qq -o "APT::Architecture=$arch" -o "APT::Architectures=$arch" -o "Dir::State=$root/apt/state"
		-o "Dir::State::status=$root/apt/state/status" -o "Dir::Cache=$root/apt/cache" -o APT::Sandbox::User=root)
	# One list that a mirror is just renewing need not matter: what is missing shows below.
	apt-get "${own[@]}" update || true
	# Its name says since Debian 13 that its time has 64 bits.
	local lib
	lib=$(apt-cache "${own[@]}" depends libasound2-dev | sed -n 's/.*Depends: \(libasound2[t0-9]*\)$/\1/p' | head -n 1)
	(cd "$root/apt" && apt-get "${own[@]}" download libasound2-dev "${lib:?no libasound for $arch in the package lists}")
	local deb
	for deb in "$root"/apt/*.deb; do
		dpkg-deb -x "$deb" "$root"
	done
	rm -rf "$root/apt"
}

build() {
	local bin=build/dalaba-linux-$arch
	"$go" build -trimpath -ldflags "-X dalaba/cmd/cli.version=$(git describe --always --dirty 2>/dev/null || echo unknown)" -o "$bin" ./cmd/dalaba
	echo "$bin  $(stat -c %s "$bin") bytes"
	readelf -hA "$bin" | grep -E '^ *(Class|Machine|Tag_CPU_arch|Tag_ABI_VFP_args):'
	readelf -d "$bin" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/  needs \1/p'
	readelf -V "$bin" | grep -o 'GLIBC_[0-9.]*' | sort -uV | sed -n '$s/^/  needs at least /p'
}

check() {
	./install.sh "qemu-user:/usr/bin/$qemu" libasound2-data:/usr/share/alsa/alsa.conf
	local as="$qemu -L /usr/$triple -E LD_LIBRARY_PATH=$root/usr/lib/$triple"
	# The first two start themselves again, which only the emulator could, and
	# the third needs a plugin of libasound's that the sound server brings.
	local not='^(TestKilledAtRandomInstantsNothingIsLostOrDoubled|TestAFileThatMayNotGrowLeavesAReadableStore|TestSoundServerIsKilledAndComesBack)$'
	echo "skipped under $qemu: $not"
	"$go" test -exec "$as" -skip "$not" -p 1 -timeout 20m ./playlist/... ./player/... ./data/... ./devices/...
}

do=${1:?build or test}
shift
for a in "$@"; do
	target "$a"
	case $do in
	build) build ;;
	test) check ;;
	*) echo "build, test" >&2; exit 2 ;;
	esac
done
