# Boots the product's /usr in private namespaces, as a container's manager would: boot.sh USR.raw ROOT DOCUMENT GROUP [DISK]
# DISK is how much /srv can hold, if that is not to be as much as all memory can.
# Root is memory; what is mounted here ends with the first process, which is systemd.
set -eu
usr=$1 root=$2 document=$3 group=$4 disk=${5:-}

mount -t tmpfs -o mode=755 cell "$root"
cd "$root"
mkdir usr etc var srv root tmp run proc sys dev old
for name in bin sbin lib lib64; do ln -s "usr/$name" "$name"; done
mount -t erofs -o ro,loop "$usr" usr
if [ -n "${SLAPBOX_QA_PROGRAMS:-}" ]; then
    if [ -d "$SLAPBOX_QA_PROGRAMS/usr" ]; then mount -t overlay -o "ro,lowerdir=$SLAPBOX_QA_PROGRAMS/usr:usr" usr usr; fi
    for program in "$SLAPBOX_QA_PROGRAMS"/slapbox*; do
        if [ -f "usr/bin/${program##*/}" ]; then mount --bind "$program" "usr/bin/${program##*/}"; fi
    done
fi

mount -t proc proc proc
# Shows the interfaces of this network, not of the machine's.
mount -t sysfs sysfs sys
# The box's control groups are below one of its own: two boxes have units of the same names.
mount -t cgroup2 cgroup2 sys/fs/cgroup
mkdir "sys/fs/cgroup/$group"
echo $$ > "sys/fs/cgroup/$group/cgroup.procs"
umount sys/fs/cgroup
mount -t tmpfs -o mode=755 dev dev
for device in null zero full random urandom tty net/tun; do
    mkdir -p "dev/$(dirname "$device")"
    touch "dev/$device"
    mount --bind "/dev/$device" "dev/$device"
done
mkdir dev/pts dev/shm
mount -t devpts -o newinstance,ptmxmode=0666 devpts dev/pts
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
mount -t tmpfs shm dev/shm

mount -t tmpfs -o mode=755 run run
if [ -n "$disk" ]; then mount -t tmpfs -o "mode=755,size=$disk" srv srv; fi

# As a box that has accepted its document before: what hands it over is the firmware's, and there is none.
mkdir -p var/lib
mkdir -m 700 var/lib/slapbox
cp "$document" var/lib/slapbox/configuration.toml

pivot_root . old
umount -l old
rmdir old
# What is mounted later is seen by services, too: systemd leaves this to whoever starts it in a container.
mount --make-rshared /
# What is its own group from here on is the root of all that it sees.
exec unshare --cgroup sh -c '
    mount -t cgroup2 cgroup2 /sys/fs/cgroup
    exec env -i container=slapbox /usr/lib/systemd/systemd --system'
