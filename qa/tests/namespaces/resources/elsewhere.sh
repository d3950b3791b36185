# Asks a service of a box from another machine, which is a namespace on a wire: elsewhere.sh PYTHON URL ADDRESS…
# Says of each address whether who has it is answered.
set -eu
python=$1 url=$2
shift 2
unshare --net sleep 60 &
far=$!
trap 'kill $far; ip link delete qa-near 2> /dev/null || true' EXIT
while [ "$(readlink /proc/$far/ns/net)" = "$(readlink /proc/self/ns/net)" ]; do sleep 0.05; done
ip link add qa-near type veth peer name qa-far
ip link set qa-far netns $far
ip link set qa-near up
ip address add 2001:db8::1/32 dev qa-near nodad
there() { nsenter --net --target $far "$@"; }
there ip link set qa-far up
for address; do there ip address add "$address/32" dev qa-far nodad; done
there ip route add fd12:3456:789a:1::/64 via 2001:db8::1
for address; do
    if there "$python" -c 'import http.client, sys, urllib.parse as it
url = it.urlsplit(sys.argv[1])
asks = http.client.HTTPConnection(url.hostname, url.port, timeout=5, source_address=(sys.argv[2], 0))
asks.request("GET", "/")
asks.getresponse().read()' "$url" "$address" 2> /dev/null; then
        echo "$address is answered"
    else
        echo "$address is not answered"
    fi
done
