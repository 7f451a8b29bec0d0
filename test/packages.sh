#!/bin/sh
# Installs what the tests need of Debian's packages, if it may; otherwise says
# what is missing. Tests that need a missing one are skipped, and counted.
# "packages.sh peers" does so for what make bench compares with.
set -eu
# package:what tells that it is there
need='
ansible-core:/usr/bin/ansible-playbook
btrfs-progs:/sbin/mkfs.btrfs
e2fsprogs:/sbin/mkfs.ext4
fish:/usr/bin/fish
graphviz:/usr/bin/dot
lintian:/usr/bin/lintian
mandoc:/usr/bin/mandoc
openssh-client:/usr/bin/ssh
procps:/bin/ps
rsync:/usr/bin/rsync
scdoc:/usr/bin/scdoc
strace:/usr/bin/strace
systemd:/lib/systemd/systemd
util-linux:/usr/bin/unshare
vim:/usr/bin/vim
xfsprogs:/sbin/mkfs.xfs
zsh:/usr/bin/zsh
'
[ "${1-}" != peers ] || need='
at:/usr/sbin/atd
beanstalkd:/usr/bin/beanstalkd
nq:/usr/bin/nq
parallel:/usr/bin/parallel
task-spooler:/usr/bin/tsp
'
missing=
for n in $need; do
    [ -e "${n#*:}" ] || missing="$missing ${n%%:*}"
done
[ -n "$missing" ] || exit 0
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo "missing Debian packages:$missing"
    echo "tests that need them are skipped; install them with: apt-get install$missing"
    exit 0
fi
echo "installing:$missing"
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
# shellcheck disable=SC2086
apt-get install -y -qq --no-install-recommends $missing >/dev/null
