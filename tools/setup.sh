#!/bin/bash
# Installs what the build and the tests need, on Debian 12 or later or Ubuntu 24.04 or later. Needs root only if
# something is missing; says nothing if nothing is.
set -euo pipefail

packages=(
  # The build.
  bazel-bootstrap g++ libabsl-dev libaio-dev libbenchmark-dev libgmock-dev libgtest-dev nlohmann-json3-dev
  # Programs that the tests run as clients; python3 counts the tests in .ci/run, too.
  fio mariadb-server-core python3 qemu-utils rocksdb-tools sqlite3 stress-ng sysbench thin-provisioning-tools
)

fail() {
  printf 'setup.sh: %s\n' "$@" >&2
  exit 1
}

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
  fail "no dpkg and apt-get here: this script knows Debian and Ubuntu only." \
    "Elsewhere, install the counterparts of: ${packages[*]}"
fi

installed=$(dpkg-query -W -f='${Package} ${db:Status-Status}\n' "${packages[@]}" 2>/dev/null || true)
missing=()
for package in "${packages[@]}"; do
  grep -qxF "$package installed" <<<"$installed" || missing+=("$package")
done
if ((${#missing[@]} == 0)); then exit 0; fi

if ((EUID != 0)); then
  fail "missing: ${missing[*]}" \
    "installing them needs root: run this script with sudo, or apt-get install them yourself."
fi

# No question may be asked, by debconf or by Ubuntu's needrestart: there may be no terminal. Another apt may be running.
export DEBIAN_FRONTEND=noninteractive NEEDRESTART_MODE=a
apt=(apt-get -q -y -o DPkg::Lock::Timeout=300)

echo "setup.sh: installing ${missing[*]}"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
# One stale repository, perhaps none of ours, fails the whole update; what apt knows already may do. If it does not, the
# log is shown.
"${apt[@]}" update </dev/null >"$log" 2>&1 || echo "setup.sh: apt-get update failed; going on with what apt knows" >&2

unknown=()
for package in "${missing[@]}"; do
  candidate=$(LC_ALL=C apt-cache policy "$package" | sed -n 's/^  Candidate: //p')
  if [[ -z $candidate || $candidate == "(none)" ]]; then unknown+=("$package"); fi
done
if ((${#unknown[@]} > 0)); then
  cat "$log" >&2
  fail "apt knows no package ${unknown[*]}." \
    "Debian 12 or later and Ubuntu 24.04 or later have them all; on Ubuntu the component universe has to be enabled."
fi

# Checked before the installation, so that an old system gets a reason instead of a page of compiler errors.
absl_version=$(LC_ALL=C apt-cache policy libabsl-dev | sed -n 's/^  Candidate: //p')
if dpkg --compare-versions "$absl_version" lt 20220623; then
  fail "libabsl-dev is $absl_version here; 20220623 or later is needed: Debian 12 or later, Ubuntu 24.04 or later."
fi

"${apt[@]}" install --no-install-recommends "${missing[@]}" </dev/null >>"$log" 2>&1 || {
  cat "$log" >&2
  fail "apt-get install failed (above)."
}
