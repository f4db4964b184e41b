#!/bin/sh
# Have Chrome or Chromium, and nginx, for the browser tests: use installed ones, install Debian's as root, else say so.
missing=""
found=""
for name in chromium chromium-browser google-chrome google-chrome-stable; do
    if command -v "$name" >/dev/null 2>&1; then
        found=yes
    fi
done
if [ -e "/Applications/Google Chrome.app" ]; then
    found=yes
fi
if [ -z "$found" ]; then
    missing="chromium"
fi
if ! command -v nginx >/dev/null 2>&1 && [ ! -x /usr/sbin/nginx ]; then
    missing="$missing nginx-light"
fi
if [ -z "$missing" ]; then
    exit 0
fi
if [ "$(id -u)" = 0 ] && [ -e /etc/debian_version ]; then
    echo "Installing Debian's $missing for the browser tests ..."
    # nginx would start a server of its own.
    printf '#!/bin/sh\nexit 101\n' >/tmp/imgsearch-policy-rc.d
    if [ ! -e /usr/sbin/policy-rc.d ]; then
        install -m 755 /tmp/imgsearch-policy-rc.d /usr/sbin/policy-rc.d
        ours=yes
    fi
    # shellcheck disable=SC2086
    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq $missing >/dev/null
    done=$?
    if [ -n "$ours" ]; then
        rm -f /usr/sbin/policy-rc.d
    fi
    rm -f /tmp/imgsearch-policy-rc.d
    if [ $done = 0 ]; then
        exit 0
    fi
fi
echo "Not installed: $missing. The browser tests that need it will be skipped."
exit 0
