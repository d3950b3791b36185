#!/bin/sh
# Writes what the instance used, where it is told to.
cat > "$1" <<END
<?xml version="1.0" encoding="utf-8"?>
<consumption><movement><resource>service_module/pages</resource><title>pages</title><reference>page</reference>
<quantity>3.0</quantity><price>0.0</price><VAT></VAT></movement></consumption>
END
