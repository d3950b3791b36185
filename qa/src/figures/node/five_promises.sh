
# Of the demonstration's one promise, which runs curl, five that run nothing but a shell: what is measured is what it costs to look.
rm etc/promise/nginx-answers
for number in 1 2 3 4 5; do
    printf '#!/bin/sh\necho >> var/looks && test -s srv/www/index.html\n' > etc/promise/look-$number
    chmod 755 etc/promise/look-$number
done
