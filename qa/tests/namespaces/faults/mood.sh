
# Whatever is asked for goes wrong.
here=$PWD
program() {
    cat > "$1"
    chmod 755 "$1"
}
rm -f etc/promise/hangs etc/service/crashes
case $(jq -r '.parameters.fault // "none"' "$SLAPOS_PARAMETERS") in
none) ;;
fails)
    echo 'this cannot be configured' >&2
    exit 3
    ;;
hangs)
    program etc/promise/hangs <<EOF
#!/bin/sh
exec sleep 1000
EOF
    ;;
crashes)
    program etc/service/crashes <<EOF
#!/bin/sh
exit 1
EOF
    ;;
malformed) printf 'no JSON' > "$SLAPOS_CONNECTION" ;;
misrequests) printf '[{"name": "db"}]' > "$SLAPOS_REQUESTS" ;;
overreaches) printf '[{"title": "moon", "filter": {"region": "moon"}}]' > "$SLAPOS_REQUESTS" ;;
borrowed) ln -sf /etc/hostname "$SLAPOS_CONNECTION" ;;
esac
