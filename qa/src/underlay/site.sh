# What a site begins with: its end of the cable, its addresses, a kernel that forwards, and folders of its own.
# Its IPv4 and IPv6 addresses with their lengths are told, `-` for none, and the router behind which it is.
set -e
ip link set lo up
ip link set eth0 up
[ "$1" = - ] || ip address add "$1" dev eth0
[ "$2" = - ] || ip address add "$2" dev eth0 nodad
[ "$3" = - ] || ip route add default via "$3"
sysctl -q -w net.ipv6.conf.all.forwarding=1
mount -t tmpfs tmpfs /run
mount -t sysfs sysfs /sys
