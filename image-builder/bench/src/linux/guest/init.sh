#!/bin/busybox sh
# The first process of the Linux that the benchmark compares with. It measures, prints lines of the form
# `linux | name number`, and switches the machine off. From the kernel's command line: AMOUNT, how much
# iperf3 transfers (`-t3`: for 3 s), and RUNS, how often; or SERVE, the address at which the host measures it.

export PATH=/bin
/bin/busybox --install -s /bin
mount -t devtmpfs dev /dev
mount -t proc proc /proc
mount -t sysfs sys /sys
exec >/dev/console 2>&1
# Whatever fails, the machine is switched off, and the last line says what it was.
trap 'poweroff -f' EXIT
set -e

# Runs iperf3's client, and prints the rate that its server has seen, in kbit/s.
measure() {
    name=$1; shift
    for run in $(seq "$RUNS"); do
        rate=$("$@" $AMOUNT -f k | sed -n 's/.* \([0-9.]*\) Kbits\/sec.*receiver.*/\1/p')
        echo "linux | $name ${rate:-failed}"
    done
}

# Makes a network namespace with the address 10.0.0.$1, joined to the bridge by a veth pair.
join() {
    unshare -n sleep 1000 &
    eval "space$1=$!"
    sleep 0.2
    ip link add name "port$1" type veth
    ip link set veth0 name "net$1"
    ip link set "net$1" netns $!
    brctl addif bridge "port$1"
    ip link set "port$1" up
    nsenter -t $! -n ip addr add "10.0.0.$1/24" dev "net$1"
    nsenter -t $! -n ip link set "net$1" up
}

# Loads modules; each comes after those that it needs.
load() {
    for module in "$@"; do
        insmod "/modules/$module.ko"
    done
}

echo "linux | release $(uname -r)"
ip link set lo up

if [ -n "$SERVE" ]; then
    load virtio_ring virtio virtio_pci_modern_dev virtio_pci_legacy_dev virtio_pci
    load failover net_failover virtio_net
    ip addr add "$SERVE" dev eth0
    ip link set eth0 up
    # One line of its own; the machine is switched off from outside.
    iperf3 -s --forceflush | while read -r line; do
        case $line in "Server listening"*) echo "linux | server listening" ;; esac
    done
fi

load llc stp bridge veth
iperf3 -s -D
sleep 0.5
measure tcp-loopback iperf3 -c 127.0.0.1

brctl addbr bridge
ip link set bridge up
join 1
join 2
nsenter -t $space2 -n iperf3 -s -D
nsenter -t $space2 -n udp-round-trip serve 10.0.0.2:7777 &
sleep 0.5
measure tcp-bridge nsenter -t $space1 -n iperf3 -c 10.0.0.2
nsenter -t $space1 -n udp-round-trip call 10.0.0.2:7777

echo "linux | end"
