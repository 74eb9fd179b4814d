#!/bin/sh
# Installs the Debian packages that are missing. Each argument is
# PACKAGE:FILE, where FILE is there once the package is.
set -eu
missing=
for need in "$@"; do
	[ -e "${need#*:}" ] || missing="$missing ${need%%:*}"
done
[ -n "$missing" ] || exit 0
if ! command -v apt-get >/dev/null 2>&1; then
	echo "缺少软件包 / packages missing:$missing" >&2
	echo "这台机器没有 apt-get，请自行安装 / there is no apt-get here: install them by hand" >&2
	exit 1
fi
root=
if [ "$(id -u)" -ne 0 ]; then
	if ! command -v sudo >/dev/null 2>&1; then
		echo "请用 root 运行 / run as root: apt-get install -y$missing" >&2
		exit 1
	fi
	root=sudo
fi
echo "安装软件包 / installing:$missing"
$root apt-get update -qq
# shellcheck disable=SC2086 # a list
DEBIAN_FRONTEND=noninteractive $root apt-get install -y -qq --no-install-recommends $missing >/dev/null
