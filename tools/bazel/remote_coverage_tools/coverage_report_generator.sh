#!/bin/sh
echo "coverage needs Bazel's own coverage tools; this build has none" >&2
exit 1
