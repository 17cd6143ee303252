#!/bin/busybox sh
# The first process of a guest that begins with the payload `busybox`, or with one that has more beside it: a shell on its
# console. With the shell the guest ends; so it does by `/sbin/poweroff`, which the kernel runs when somebody asks the guest to
# end and which ends all but this process, and it begins again by `/sbin/reboot`. Modules that came along are loaded. From the
# kernel's command line:
#   address=ADDRESS/BITS  what its port of a switch gets; it answers a ping to all, too
#   gateway=ADDRESS       the router to elsewhere
#   name_server=ADDRESS   who knows names there
#   run=COMMAND           is run before the shell, with commas for its blanks
#   root=/dev/DEVICE      instead of the shell: the file system there, and the first process that it has

export PATH=/bin HOME=/root TERM=vt100 PS1='linux# '
/bin/busybox --install -s /bin
mkdir /sbin
printf '#!/bin/busybox sh\necho "${0##*/}" > /end\nkill -KILL -1\n' > /sbin/poweroff
chmod 755 /sbin/poweroff
ln -s poweroff /sbin/reboot
echo alias poweroff=/sbin/poweroff reboot=/sbin/reboot > /aliases
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
hostname linux
memory=$(sed -n 's/^MemTotal: *//p' /proc/meminfo)
echo "init: $(uname -sr) on $(cat /sys/hypervisor/type 2>/dev/null || echo a bare machine) with $memory"

# Waits until a file is there, for ten seconds at most.
await() {
	tries=0
	until [ -e "$1" ] || [ $tries = 100 ]; do sleep 0.1; tries=$((tries + 1)); done
}

for module in /modules/*.ko; do
	[ ! -e "$module" ] || insmod "$module"
done
if [ -n "$address" ]; then
	await /sys/class/net/eth0
	ip link set lo up
	ip address add "$address" dev eth0
	ip link set eth0 up
	echo 0 > /proc/sys/net/ipv4/icmp_echo_ignore_broadcasts
	[ -z "$gateway" ] || ip route add default via "$gateway"
fi

# The kernel takes this one for itself.
root=$(sed -n 's/.*\broot=\([^ ]*\).*/\1/p' /proc/cmdline)
if [ -n "$root" ]; then
	await "$root"
	if mount -t ext4 "$root" /disk; then
		[ -z "$name_server" ] || echo "nameserver $name_server" > /disk/etc/resolv.conf
		for place in dev sys proc; do mount -o move /$place /disk/$place; done
		exec switch_root -c /dev/console /disk /sbin/init
	fi
	echo "init: there is no file system on $root; here is a shell instead"
fi
[ -z "$run" ] || sh -c "$(echo "$run" | tr ',' ' ')"
# Without a size the shell would ask the terminal for one.
stty columns 80 rows 24 2>/dev/null
ENV=/aliases setsid cttyhack sh
if [ "$(cat /end 2>/dev/null)" = reboot ]; then
	echo 'init: reboot'
	reboot -f
fi
echo 'init: power off'
poweroff -f
