#!/bin/busybox sh
# The whole system of the guest: does with its seed what cloud-init would, says by http who it is, and goes when its power button is pressed.
/bin/busybox --install -s /bin
export PATH=/bin
mkdir -p /dev /proc /sys /seed /disk /www /etc/acpi/PWRF /var/run
mount -t devtmpfs dev /dev
mount -t proc proc /proc
mount -t sysfs sys /sys
for module in /modules/*; do insmod "$module"; done
mount -t vfat -o ro,codepage=437,iocharset=ascii /dev/vdb /seed
mount -t vfat -o sync,codepage=437,iocharset=ascii /dev/vda /disk
echo booted >> /disk/boots
network=/seed/network-config
address=$(sed -n '/nameservers/,$d; s/.*addresses: \["\(.*\)"\].*/\1/p' $network)
gateway=$(sed -n 's/.*via: "\([^"]*\)".*/\1/p' $network)
card=$(grep -l "$(sed -n 's/.*macaddress: "\(.*\)"/\1/p' $network)" /sys/class/net/*/address)
card=$(basename "$(dirname "$card")")
echo 0 > "/proc/sys/net/ipv6/conf/$card/accept_dad"
ip link set lo up
ip link set "$card" up
ip -6 addr add "$address" dev "$card"
ip -6 route add default via "$gateway" dev "$card"
cat > /etc/acpi/PWRF/00000080 <<'END'
#!/bin/sh
echo 'guest: the power button was pressed' > /dev/console
umount /disk
poweroff -f
END
chmod 755 /etc/acpi/PWRF/00000080
cp /seed/meta-data /seed/user-data /www
ln -s /disk/boots /www/boots
httpd -p '[::]:80' -h /www
echo 'guest: it serves'
while read -r line; do echo "guest: heard $line"; done < /dev/console &
# The first process may not end.
while :; do acpid -f -l /dev/console; done
