#!/bin/sh
# Make a repository to publish: the tree of HEAD with a fresh history of one commit.
#
#   scripts/release_tree.sh FOLDER
#
# FOLDER must not be there yet. The history here is left as it is. Slicer's Extensions Index counts
# a clone's .git and its checkout together, and takes 100 MB.
set -eu
cd "$(dirname "$0")/.."

target="${1:?where to: a folder that is not there yet}"
[ ! -e "$target" ] || { echo "release_tree: $target is there already" >&2; exit 2; }
version="$(sed -n 's/^__version__ = "\(.*\)"/\1/p' spinemar/__init__.py)"
commit="$(git commit-tree -m "SpineMAR $version" "HEAD^{tree}")"
git init -q -b main "$target"
git -C "$target" fetch -q --no-tags \
  --upload-pack "git -c uploadpack.allowAnySHA1InWant=true upload-pack" "$PWD" "$commit"
git -C "$target" reset -q --hard FETCH_HEAD
rm "$target/.git/FETCH_HEAD"
git -C "$target" gc -q --prune=now
bytes="$(find "$target" -type f -exec cat {} + | wc -c)"
echo "$target: SpineMAR $version, $((bytes / 1000000)) MB of .git and checkout together"
[ "$bytes" -lt 100000000 ] || { echo "release_tree: the index takes 100 MB" >&2; exit 1; }
