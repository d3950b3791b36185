# What a site begins with: its end of the cable, its address, a kernel that forwards, and folders of its own.
set -e
ip link set lo up
ip link set eth0 up
ip address add "10.99.$(($1 / 256)).$(($1 % 256))/16" dev eth0
ip address add "fd99::$(printf %x "$1")/64" dev eth0 nodad
sysctl -q -w net.ipv6.conf.all.forwarding=1
mount -t tmpfs tmpfs /run
mount -t sysfs sysfs /sys
