"""Counts the test cases of one `bazel test` run: count_tests.py EVENTS STATUS.

EVENTS is what --build_event_json_file wrote, STATUS the exit status of bazel test. Prints what failed, then "N passed, N
failed" as the last line. Exits with 0 if something passed and nothing failed.

A target whose test.xml cannot be read, or which failed although every case in its test.xml passed, or which was never run,
counts as one failed case. Skipped and disabled cases count as neither.
"""

import json
import sys
import urllib.parse
import xml.etree.ElementTree as ElementTree


def read_events(path):
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            try:
                yield json.loads(line)
            except ValueError:
                return  # the last line of a run that was stopped


def count_cases(path):
    """Returns the passed, failed and skipped cases of a test.xml, each as a list of names."""
    passed, failed, skipped = [], [], []
    for case in ElementTree.parse(path).getroot().iter("testcase"):
        name = ".".join(part for part in (case.get("classname"), case.get("name")) if part)
        if case.find("failure") is not None or case.find("error") is not None:
            failed.append(name)
        elif case.find("skipped") is not None or case.get("status") == "notrun" or case.get("result") == "suppressed":
            skipped.append(name)
        else:
            passed.append(name)
    return passed, failed, skipped


def main(events_path, bazel_status):
    tests = set()  # the test targets that this run was to run
    results = {}  # label -> {(run, shard): (status, path of test.xml or None)}; a later attempt replaces an earlier one
    for event in read_events(events_path):
        key = event.get("id", {})
        if "targetConfigured" in key and "testSize" in event.get("configured", {}):
            tests.add(key["targetConfigured"]["label"])
        if "testResult" in key and "testResult" in event:
            which, result = key["testResult"], event["testResult"]
            uris = [output.get("uri", "") for output in result.get("testActionOutput", []) if output["name"] == "test.xml"]
            path = urllib.parse.unquote(urllib.parse.urlparse(uris[0]).path) if uris else None
            part = (which.get("run", 1), which.get("shard", 1))
            results.setdefault(which["label"], {})[part] = (result.get("status", "NO_STATUS"), path)

    passed, skipped, problems = 0, 0, []
    for label in sorted(tests | set(results)):
        if label not in results:
            problems.append(f"{label}: was not run (it did not build, or the run was stopped)")
        for status, path in results.get(label, {}).values():
            try:
                target_passed, target_failed, target_skipped = count_cases(path)
            except (OSError, TypeError, ElementTree.ParseError) as error:
                problems.append(f"{label}: {status}, and its test.xml cannot be read: {error}")
                continue
            passed += len(target_passed)
            skipped += len(target_skipped)
            problems.extend(f"{label}: {name}" for name in target_failed)
            if status != "PASSED" and not target_failed:
                problems.append(f"{label}: {status}, although no case in its test.xml failed")
    if bazel_status != 0 and not problems:
        problems.append(f"bazel test: exit status {bazel_status}, see above")

    for problem in problems:
        print(f"FAILED {problem}")
    if skipped:
        print(f"{skipped} skipped or disabled")
    if not passed and not problems:
        print("no test ran")
    print(f"{passed} passed, {len(problems)} failed")
    return 0 if passed and not problems else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2])))
