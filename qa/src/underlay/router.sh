# What a router with NAT begins with: an address outside, one inside, and a rule of how it translates. It lets in what was asked for;
# the rest is dropped and leaves no trace, so that it takes no port from who asks later.
set -e
ip link set lo up
ip link set eth0 up
ip link set lan0 up
ip address add "$1" dev eth0
ip address add "$2" dev lan0
sysctl -q -w net.ipv4.ip_forward=1
nft --file - <<RULES
table ip router {
    chain translate {
        type nat hook postrouting priority 100;
        oifname "eth0" masquerade $3
    }
    chain input {
        type filter hook input priority 0;
        iifname "eth0" ct state { new, invalid } drop
    }
    chain forward {
        type filter hook forward priority 0;
        iifname "eth0" ct state { new, invalid } drop
    }
}
RULES
