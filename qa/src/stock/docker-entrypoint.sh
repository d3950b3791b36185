#!/bin/sh
# As those of stock images: prepares as root, and lets the program become somebody else.
set -e
if [ "$(id -u)" = 0 ]; then
    chown -R www-data:www-data /data
    # What gosu and su-exec do, and databases with what they become.
    setpriv --reuid=www-data --regid=www-data --clear-groups -- sh -c 'echo "$(id -u):$(id -G)" > /dev/shm/became'
    grep -qx 33:33 /dev/shm/became
    if [ -n "${LISTEN:-}" ]; then sed -i "s/listen .*/listen $LISTEN;/" /etc/nginx/nginx.conf; fi
    sed -i "s/@GREETING@/$GREETING/" /etc/nginx/nginx.conf
fi
[ -e /data/born ] || cat /proc/sys/kernel/random/uuid > /data/born
echo "$GREETING" >> /data/starts
if [ -n "${WANTS_DISK:-}" ]; then head -c "$WANTS_DISK" /dev/zero > /data/much || true; fi
cat /proc/1/status /proc/self/mounts > /data/facts
# A name that only a server of names knows.
getent ahosts localhost.localdomain >> /data/facts || true
exec "$@"
