#!/bin/bash
# Makes what projects written for other systems expect to find: the user, a Python that pip may change, and sudo.
set -euo pipefail
umask 002

user=jovyan
home=/home/$user
venv=/opt/venv

grep -q "^$user:" /etc/group || echo "$user:x:1000:" >>/etc/group
grep -q "^$user:" /etc/passwd || echo "$user:x:1000:1000::$home:/bin/bash" >>/etc/passwd
grep -q "^$user:" /etc/shadow || echo "$user:!:19000:0:99999:7:::" >>/etc/shadow
mkdir -p "$home" /data /project-dir

# Shells that run scripts read this file first; a set-up script may add to it.
touch "$home/.orchestrc"

# Debian marks its own Python as managed by its packages, so pip gets an environment that comes first on PATH and
# still sees the packages of Debian.
python3 -m venv --system-site-packages "$venv"

install -d -m 0755 /usr/local/bin
install -m 0755 /environment/sudo /usr/local/bin/sudo
for name in conda mamba micromamba; do
    install -m 0755 /environment/no-conda /usr/local/bin/$name
done

# The user may install into the environment and into the home. With one single id there is nobody else to own them.
chown -R 1000:1000 "$home" "$venv" /data /project-dir 2>/dev/null || true
chmod -R g+rwX "$home" "$venv"
