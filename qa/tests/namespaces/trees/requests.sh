
# Beyond the demonstration: an instance whose parameter `children` names others, the nearest first, requests the first one of
# them and a share of its own release, has it request the rest in turn, promises that it answers, and publishes where. For those who share it
# it publishes a page of their own.
jq --arg url "$url" '.slave_instance_list | map({key: .slave_reference, value: {url: "\($url)\(.page)"}}) | from_entries' \
    "$SLAPOS_PARAMETERS" > "$SLAPOS_SHARED_CONNECTION"
child=$(jq -r '.parameters.children // "" | split(" ") | .[0] // ""' "$SLAPOS_PARAMETERS")
if [ -n "$child" ]; then
    jq '.instance_title as $title | .parameters.children | split(" ")
        | [{title: .[0], parameters: {greeting: "made by \($title)", children: .[1:] | join(" ")}},
           {title: "share of \($title)", shared: true, parameters: {page: "page-of-\($title)"}}]' \
        "$SLAPOS_PARAMETERS" > "$SLAPOS_REQUESTS"
    there=$(jq -r --arg child "$child" '.requested[$child].connection.url // ""' "$SLAPOS_PARAMETERS")
    cat > etc/promise/child-answers <<EOF
#!/bin/sh
curl --silent --show-error --max-time 5 "$there" | grep "made by $(value .instance_title)"
EOF
    chmod 755 etc/promise/child-answers
    jq -n --arg url "$url" --arg child "$there" '{url: $url, child: $child}' > "$SLAPOS_CONNECTION"
fi
