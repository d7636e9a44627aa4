#!/usr/bin/env bash
# The council at work without a key: a repository is made, a change with planted defects is committed, and three simulated
# members review it over the same wire as real models.
set -euo pipefail
witan="$(cd "$(dirname "$1")" && pwd)/$(basename "$1")"
here="$(cd "$(dirname "$0")" && pwd)"
work="$(mktemp -d)"
simulator=""
cleanup() {
  if [ -n "$simulator" ]; then kill "$simulator" 2>/dev/null || true; wait "$simulator" 2>/dev/null || true; fi
  rm -rf "$work"
}
trap cleanup EXIT

repo="$work/repo"
export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_SYSTEM=/dev/null
export GIT_AUTHOR_NAME=demo GIT_AUTHOR_EMAIL=demo@example.com GIT_COMMITTER_NAME=demo GIT_COMMITTER_EMAIL=demo@example.com
mkdir -p "$repo/store" "$repo/shop"
git -C "$repo" init --quiet --initial-branch=main
printf 'module example.com/shop\n\ngo 1.24\n' > "$repo/go.mod"
cat > "$repo/store/store.go" <<'GO'
package store

// Price looks a price up.
func Price(name string) int {
	return len(name)
}
GO
cat > "$repo/shop/shop.go" <<'GO'
package shop

import "example.com/shop/store"

// Label prints what something costs.
func Label(name string) int {
	return store.Price(name) + 1
}
GO
git -C "$repo" add --all && git -C "$repo" commit --quiet --message "A small shop"
cat > "$repo/store/store.go" <<'GO'
package store

// Cost looks a price up.
func Cost(name string) int {
	return len(name)
}

// Sum adds prices.
func Sum(items []string) int {
	total := 0
	for i := 0; i <= len(items); i++ {
		total += Cost(items[i])
	}
	return total
}
GO
# A key that nobody ever issued, put together here so that it stands in no file of this project.
printf 'package store\n\nconst accessKey = "%s%s"\n' "AKIA" "Q3EXZ7MPL5VTR2WN" > "$repo/store/key.go"
git -C "$repo" add --all && git -C "$repo" commit --quiet --message "Add Sum, rename Price"

"$witan" models simulate --addr 127.0.0.1:0 --script "$here/script.yaml" 2> "$work/simulator.log" &
simulator=$!
for _ in $(seq 100); do
  url="$(sed -n 's/^simulated models at //p' "$work/simulator.log")"
  if [ -n "$url" ]; then break; fi
  sleep 0.1
done
[ -n "$url" ] || { echo "the simulator did not start:" >&2; cat "$work/simulator.log" >&2; exit 1; }

cat > "$work/witan.yaml" <<YAML
models:
  - {name: ada, provider: openai, base_url: "$url", json_schema: true}
  - {name: ben, provider: openai, base_url: "$url", json_schema: true}
  - {name: cyd, provider: openai, base_url: "$url", json_schema: true}
councils:
  - {name: default, members: [ada, ben, cyd], chairman: {model: ada}}
YAML

echo "Three SIMULATED members (ada, ben, cyd) review a change with planted defects:"
echo "a leaked key, a function renamed while a caller stays behind, a loop that runs one too far."
echo
code=0
"$witan" review --config "$work/witan.yaml" --data "$work/data" --repo "$repo" --base HEAD~1 --head HEAD || code=$?
echo
echo "witan exited $code (1: findings at or above the threshold)."
[ "$code" = 1 ]
