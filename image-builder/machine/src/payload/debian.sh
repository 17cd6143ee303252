#!/bin/sh
# Makes a disk of what mmdebstrap has put together, in the folder where that is: `root.tar` becomes `disk`, of so many MiB.
# Runs under fakeroot, which keeps the owners of files in mind: nobody needs to be root.
set -eu
mib=$1
mkdir root
tar --extract --file root.tar --directory root
rm root.tar
cd root

# Who may log in: root, at the console without a password, by ssh with the key.
sed -i 's/^root:[^:]*:/root::/' etc/shadow
mkdir -p root/.ssh
chmod 700 root/.ssh
mv key.pub root/.ssh/authorized_keys
mv key ..
chmod 600 root/.ssh/authorized_keys ../key
# How the host knows it again, whatever port leads there.
sed 's/^/debian /; s/ [^ ]*$//' etc/ssh/ssh_host_ed25519_key.pub > ../known_hosts

echo debian > etc/hostname
printf '127.0.0.1\tlocalhost debian\n' > etc/hosts
echo '/dev/xvda / ext4 noatime 0 1' > etc/fstab
ln -sf ../proc/self/mounts etc/mtab
# There is one terminal. systemd, which has no such table, looks for it by itself.
if [ -e etc/inittab ]; then
	sed -i '/getty/d' etc/inittab
	echo 'h0:2345:respawn:/sbin/getty 115200 hvc0 vt100' >> etc/inittab
fi
rm -rf var/cache/apt/*.bin var/log/*
cd ..

dpkg-query --admindir=root/var/lib/dpkg --show > packages
# What a kernel would do later, behind the guest's back, is done now.
/usr/sbin/mkfs.ext4 -q -F -d root -E lazy_itable_init=0,lazy_journal_init=0,root_owner=0:0 -J size=16 disk "${mib}M"
rm -rf root
