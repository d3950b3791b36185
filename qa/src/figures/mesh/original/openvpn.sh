#!/bin/sh
# Stands for the openvpn that re6stnet expects: newer ones have another word for a tunnel without encryption.
PATH=${PATH#*:}
for word; do
    shift
    case $word in
    --ncp-disable) set -- "$@" --data-ciphers none ;;
    *) set -- "$@" "$word" ;;
    esac
done
exec openvpn "$@"
