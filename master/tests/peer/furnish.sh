# Furnishes private namespaces of network, mounts and processes for a node, and runs a command in them:
#   furnish.sh PEER TESTS COMMAND…
# with slapos.core and its Python from the folder PEER. Whatever the node does to /etc, /opt, /srv and the network ends with the command.
set -eu
peer=$1 tests=$2
shift 2

mount -t tmpfs -o mode=755 tmpfs /srv
cp -a /etc /srv/etc
mount --bind /srv/etc /etc
# Nobody answers, and says so at once.
rm -f /etc/resolv.conf
echo 'nameserver 127.0.0.1' > /etc/resolv.conf

# The users of software and partitions must reach what is here, wherever it lies outside.
mount -t tmpfs -o mode=755 tmpfs /mnt
mkdir /mnt/slapos
cd /mnt/slapos
mkdir bin site tree wheels
for folder in site tree wheels; do
    mount --bind -o ro "$peer/$folder" "$folder"
done
cp "$peer/python" .
cp -r "$tests" tests
chmod -R u=rwX,go=rX tests
# The node has its watchdog started by this very path.
for program in slapos slapos-watchdog; do
    { echo '#!/opt/slapos/python'; tail -n +2 "$peer/site/bin/$program"; } > "bin/$program"
    chmod 755 "bin/$program"
done
cd /
mount --move /mnt /opt
export PATH=/opt/slapos/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

mount -t sysfs sysfs /sys
# Nobody else is here who could have the same address.
echo 0 > /proc/sys/net/ipv6/conf/all/accept_dad
echo 0 > /proc/sys/net/ipv6/conf/default/accept_dad
ip link set lo up
ip link add slapbr0 type bridge
ip link set slapbr0 up
ip address add 2001:db8:5ef::1/48 dev slapbr0

# As the first process here, this one buries daemons' children: it stays.
"$@"
exit $?
