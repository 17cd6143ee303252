#!/bin/busybox sh
# The first process of a guest that begins with the payload `busybox`: a shell on its console. With the shell the guest
# ends. From the kernel's command line: address=ADDRESS/BITS is what its port of a switch gets, run=COMMAND is run before,
# with commas for its blanks. Modules that came along are loaded.

export PATH=/bin HOME=/root TERM=vt100 PS1='linux# '
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
hostname linux
memory=$(sed -n 's/^MemTotal: *//p' /proc/meminfo)
echo "init: $(uname -sr) on $(cat /sys/hypervisor/type 2>/dev/null || echo a bare machine) with $memory"
for module in /modules/*.ko; do
	[ ! -e "$module" ] || insmod "$module"
done
if [ -n "$address" ]; then
	tries=0
	until [ -e /sys/class/net/eth0 ] || [ $tries = 100 ]; do sleep 0.1; tries=$((tries + 1)); done
	ip link set lo up
	ip address add "$address" dev eth0
	ip link set eth0 up
fi
[ -z "$run" ] || sh -c "$(echo "$run" | tr ',' ' ')"
# Without a size the shell would ask the terminal for one.
stty columns 80 rows 24 2>/dev/null
setsid cttyhack sh
echo 'init: power off'
poweroff -f
