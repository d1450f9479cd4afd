#!/bin/bash
# Makes what projects written for other systems expect to find: the user with a home, places for mounts, sudo.
set -euo pipefail
umask 002

user=jovyan
home=/home/$user

grep -q "^$user:" /etc/group || echo "$user:x:1000:" >>/etc/group
grep -q "^$user:" /etc/passwd || echo "$user:x:1000:1000::$home:/bin/bash" >>/etc/passwd
grep -q "^$user:" /etc/shadow || echo "$user:!:19000:0:99999:7:::" >>/etc/shadow
mkdir -p "$home" /data /project-dir
# Where Orchest's images have their Python: notebooks in R name it.
mkdir -p /opt
ln -sfn venv /opt/conda

# Shells that run scripts read this file first; a set-up script may add to it.
touch "$home/.orchestrc"

install -d -m 0755 /usr/local/bin
install -m 0755 /environment/sudo /usr/local/bin/sudo
for name in conda mamba micromamba; do
    install -m 0755 /environment/no-conda /usr/local/bin/$name
done

# The user may install into the home. With one single id there is nobody else to own it.
chown -R 1000:1000 "$home" /data /project-dir 2>/dev/null || true
chmod -R g+rwX "$home"
