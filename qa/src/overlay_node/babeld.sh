# Starts babeld when its file is there, in a folder that is made anew each time, and again whenever it ends.
until [ -s "$1" ]; do sleep 0.02; done
while :; do
    rm -rf /run/babeld
    mkdir /run/babeld
    babeld -c "$1" -I /run/babeld/pid -S /run/babeld.state
    sleep 1
done
