#!/bin/sh
# Have a Chrome or Chromium for the browser tests: use an installed one, install Debian's as root, else say so.
for name in chromium chromium-browser google-chrome google-chrome-stable; do
    if command -v "$name" >/dev/null 2>&1; then
        exit 0
    fi
done
if [ -e "/Applications/Google Chrome.app" ]; then
    exit 0
fi
if [ "$(id -u)" = 0 ] && [ -e /etc/debian_version ]; then
    echo "Installing Debian's chromium for the browser tests ..."
    if apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium >/dev/null; then
        exit 0
    fi
fi
echo "No Chrome or Chromium here: the browser tests will be skipped. Install one to run them."
exit 0
