#!/bin/sh
# A web server that knows no IPv6. The parameters say which bridges lead to it, and have the certificate that they show.
set -eu
mkdir -p etc/service etc/bridge srv/www var/log var/run var/tmp
here=$PWD
parameter() {
    jq -r ".parameters.$1 // \"\"" "$SLAPOS_PARAMETERS"
}
echo 'Hello by IPv4' > srv/www/index.html
cat > etc/nginx.conf <<END
daemon off;
worker_processes 1;
pid $here/var/run/nginx.pid;
error_log stderr warn;
events { worker_connections 256; }
http {
    access_log off;
    client_body_temp_path $here/var/tmp/body;
    proxy_temp_path $here/var/tmp/proxy;
    fastcgi_temp_path $here/var/tmp/fastcgi;
    scgi_temp_path $here/var/tmp/scgi;
    uwsgi_temp_path $here/var/tmp/uwsgi;
    server {
        listen $SLAPOS_IPV4:8080;
        root $here/srv/www;
    }
}
END
cat > etc/service/nginx <<END
#!/bin/sh
exec /usr/sbin/nginx -e stderr -c $here/etc/nginx.conf
END
chmod 755 etc/service/nginx
parameter certificate > etc/web.crt
(umask 077 && parameter key > etc/web.key)
for name in web other; do
    if [ -n "$(parameter $name)" ]; then parameter $name > etc/bridge/$name; fi
done
