# Speaks to the node as a machine at a tap does, first by the address that leads there, then by another one: at_a_tap.sh OWN OTHER
# Says of each whether the node hears it, by what its firewall let through.
set -eu
own=$1
unshare --net sleep 60 &
far=$!
trap 'kill $far; ip link delete slaptap99 2> /dev/null || true' EXIT
while [ "$(readlink /proc/$far/ns/net)" = "$(readlink /proc/self/ns/net)" ]; do sleep 0.05; done
ip link add slaptap99 type veth peer name qa-guest
ip link set qa-guest netns $far
ip link set slaptap99 up
ip address add 2001:db8:5::f/128 dev slaptap99 nodad
ip route add "$own/128" dev slaptap99
there() { nsenter --net --target $far "$@"; }
there ip link set qa-guest up
for address; do there ip address add "$address/128" dev qa-guest nodad; done
there ip route add 2001:db8:5::f/128 dev qa-guest
heard() { nstat -asz Icmp6InEchos | sed -n 's/^Icmp6InEchos *\([0-9]*\).*/\1/p'; }
for address; do
    before=$(heard)
    there ping -6 -c 2 -i 0.2 -W 1 -q -I "$address" 2001:db8:5::f > /dev/null || true
    if [ "$(heard)" -gt "$before" ]; then echo "$address is heard"; else echo "$address is not heard"; fi
done
