#!/usr/bin/env bash
# Builds a Kubernetes control plane for the tests from Go modules:
#
#   tests/kube/build.sh OUT
#
# puts etcd, kube-apiserver, kube-controller-manager, kube-scheduler and kwok into OUT. Versions are
# those of the go.mod files beside this script. What is there already is left alone:
# OUT/.built-<module> holds the digest of the go.mod and go.sum that a binary came from.
#
# Needs Go (PATH or GO). BUILD_JOBS limits the compiler processes (default: all cores).
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
out=${1:?usage: build.sh OUT}
mkdir -p "$out"
out=$(cd "$out" && pwd)
go=${GO:-go}
jobs=${BUILD_JOBS:-$(nproc)}

# No C compiler, no toolchain download, nothing of the caller's workspace.
export CGO_ENABLED=0 GOTOOLCHAIN=local GOWORK=off GOFLAGS=-mod=readonly

# version MODULE PATH: the version of module PATH that tests/kube/MODULE pins.
version() {
  sed -nE "s|^(require)?[[:space:]]+$2 (v[^ ]+).*|\2|p" "$here/$1/go.mod" | head -n 1
}

# build MODULE LDFLAGS: builds every tool of tests/kube/MODULE, unless it is there.
build() {
  local module=$1 ldflags=$2 digest tool name started=$SECONDS
  digest=$(cat "$here/$module/go.mod" "$here/$module/go.sum" "$here/build.sh" | sha256sum | cut -d' ' -f1)
  if [ "$(cat "$out/.built-$module" 2>/dev/null)" = "$digest" ]; then
    return
  fi
  for tool in $(tools "$module"); do
    name=$(basename "${tool%/v[0-9]*}")
    [ "$tool" != go.etcd.io/etcd/server/v3 ] || name=etcd
    echo "kube: building $name" >&2
    (cd "$here/$module" && "$go" build -p "$jobs" -trimpath -ldflags="-s $ldflags" -o "$out/$name.new" "$tool")
    mv "$out/$name.new" "$out/$name"
  done
  echo "$digest" >"$out/.built-$module"
  echo "kube: $module built in $((SECONDS - started)) s" >&2
}

# tools MODULE: the packages on the `tool` lines of tests/kube/MODULE/go.mod.
tools() {
  sed -nE '/^tool \($/,/^\)$/{s|^[[:space:]]+([^ ]+)$|\1|p}; s|^tool ([^(]+)$|\1|p' "$here/$1/go.mod"
}

kubernetes=$(version kubernetes k8s.io/kubernetes)
minor=${kubernetes#v1.}
stamp=""
for package in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
  stamp+=" -X $package.gitVersion=$kubernetes -X $package.gitMajor=1 -X $package.gitMinor=${minor%%.*}"
  stamp+=" -X $package.gitTreeState=clean -X $package.gitCommit="
done

build etcd ""
build kubernetes "$stamp"
build kwok "-X sigs.k8s.io/kwok/pkg/consts.Version=$(version kwok sigs.k8s.io/kwok)"
