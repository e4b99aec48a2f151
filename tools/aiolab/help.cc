#include "tools/aiolab/help.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "kernel_model/sim/fault_table.h"
#include "tools/aiolab/crash_flags.h"
#include "tools/aiolab/run_flags.h"

namespace aiolab {
namespace {

constexpr size_t kWidth = 80;

constexpr char kGeneralHelp[] = R"(aiolab runs a program on an emulated Linux AIO.

The program's io_setup, io_submit and io_getevents do not reach the real kernel
but a model of it, which decides when each request completes, in which order,
and how. A seed names one such run: the same seed gives the same order again.
The program needs no change, and the bytes that it reads and writes are those
of its real files.

  aiolab run                    see it at work: a small write-ahead log that
                                comes with aiolab, under three seeds
  aiolab run -- ./server -v     run your own program (what follows -- is its
                                command line) and report what its AIO did
  aiolab run --seed=7 --trace=text:/tmp/trace -- fio job.fio
                                another order, with every step written down
  aiolab crash --check='./check {dir}' -- ./server /data
                                every disk that a power cut could have left,
                                each shown to your checker

Commands:
  run            run a program on the emulated kernel
  crash          look for a power cut that a program does not survive
  help [COMMAND] this text, or that of a command
  --version      the version
)";

constexpr char kRunHelpHead[] = R"(aiolab run [FLAGS] [-- PROGRAM ARGUMENTS...]

Runs PROGRAM with its Linux AIO (libaio, or the bare io_* system calls) on the
emulated kernel, and prints on standard error what that did: operations by
opcode and result, retries, virtual time, and a token that repeats the run.
Without PROGRAM: the write-ahead log that comes with aiolab, under three seeds.

PROGRAM has to be a dynamically linked program of this machine, without
set-user-id bits or file capabilities. Threads, fork and exec work; each process
has an emulated kernel of its own.

Flags, as --flag=value or --flag value, before the --:
)";

constexpr char kFaultHelpHead[] = R"(
Fault rules, as where[filter]=when:what; several are separated by commas:
  submit=nth(2):short(1)            the second io_submit takes one iocb
  submit_one=1in(20):eagain(x5)     at times the ring is full for five iocbs
  complete[op=write]=1in(50):eio    one write in 50 fails
  complete[path=*.wal]=nth(3):short(512)->enospc
                                    a short write, and then no space
  complete=always:delay(exp 2ms)    reordered by latency
  any(x3)                           three faults that every client has to
                                    survive; the seed says where
Filters: op, fd, path, open, off, size, ctx, task, rwf. When: always, nth(n),
1in(n), pct(p), every(n), after(n), between(a,b), at(step n), at(10ms).
Each process counts for itself. The report says of every rule how often it
struck, and when, and warns of one that never did; in the trace each strike is
an event `fault`. What a rule leaves to chance the seed decides, and the command
that the report ends with replays it. Where, and what can happen there:
)";

constexpr char kRunHelpTail[] = R"(
Exit status: PROGRAM's own; 128 + N if signal N killed it; 3 if a finding of the
model (a request that can never complete, a wait for nothing) ended it; 4 if a
fault rule cut its power; 2 if aiolab could not run it, with the reason on
standard error.

Examples:
  aiolab run --seed=7 --cpus=host -- fio --ioengine=libaio --name=t --size=1m
  aiolab run --fault='complete=1in(50):eio' -- ./server
  aiolab run --profile=mainline --report=json -- ./server 2>report.json
)";

constexpr char kCrashHelpHead[] = R"(aiolab crash [FLAGS] [--check='CMD {dir}' -- PROGRAM ARGUMENTS...]

Runs PROGRAM with the files under a prefix (/data, unless --simfs says another)
on a simulated disk. Then, for every moment at which the disk completed
something: the power goes, and every disk that this could have left is mounted
and shown to the checker CMD. A disk loses what no flush has covered, sector by
sector, and what was under way; it keeps what fsync, fdatasync or O_DSYNC made
durable. The first disk that the checker refuses is reported: where the power
went, which writes were lost, and which fsync would have kept them.

What PROGRAM has promised is what it had written to its standard output by then,
to whomever: the checker finds it in the file {acked}, and should ask no more.
A program that holds its output back (stdio does, into a file) promises late:
let it flush, or run it by `stdbuf -oL`.

Every process of PROGRAM has files of its own, a child of fork() a copy: those
of the process with the longest log are looked at, and a warning says if there
are others. They include dev0, a disk without a file system, which loses its
power together with the other: where PROGRAM used it, {dir} has it as a file.
Nothing is written back for a fork; where PROGRAM waits for another process or
the network, not before five seconds of real time have passed.

With --fault the disk may do worse than lose: device[op=flush]=always:lost is
one that lies about flushes, and the report says where it lied.

Without PROGRAM: the write-ahead log that comes with aiolab, and its checker.

Flags, as --flag=value or --flag value, before the --:
)";

constexpr char kCrashHelpTail[] = R"(
and those of `aiolab run`: --seed, --profile, --simfs, --fault and the others.

Exit status: 0 if no power cut broke it, 1 if one did, 2 if aiolab could not
look for one (a checker that cannot be run, or that refuses the files as PROGRAM
left them without any crash), with the reason on standard error.

Examples:
  aiolab crash                               no power cut breaks it
  aiolab crash --demo=rename-before-fsync    one does
  aiolab crash --simfs=/db:size=64M --check='./check.py {dir} {acked}' \
      --export-files=bad -- ./server --dir=/db
)";

std::string FlagsText(const std::vector<FlagHelp>& flags) {
  std::string text;
  for (const FlagHelp& flag : flags) {
    absl::StrAppend(&text, "  ", flag.usage,
                    flag.default_value.empty() ? "" : absl::StrCat("  (default ", flag.default_value, ")"), "\n",
                    WrapText(flag.text, /*indent=*/6, kWidth));
  }
  return text;
}

}  // namespace

const std::vector<std::string>& CommandNames() {
  static const auto& names = *new std::vector<std::string>{"run", "crash", "help"};
  return names;
}

std::string WrapText(absl::string_view text, size_t indent, size_t width) {
  const std::string margin(indent, ' ');
  std::string wrapped;
  std::string line = margin;
  for (const absl::string_view word : absl::StrSplit(text, ' ', absl::SkipEmpty())) {
    if (line.size() > indent && line.size() + 1 + word.size() > width) {
      absl::StrAppend(&wrapped, line, "\n");
      line = margin;
    }
    absl::StrAppend(&line, line.size() > indent ? " " : "", word);
  }
  return line.size() > indent ? absl::StrCat(wrapped, line, "\n") : wrapped;
}

std::string GeneralHelp() { return kGeneralHelp; }

std::string CrashHelp() { return absl::StrCat(kCrashHelpHead, FlagsText(CrashFlagHelp()), kCrashHelpTail); }

// From the table that the rules are checked with.
std::string FaultHelp() {
  std::string help = kFaultHelpHead;
  for (const FaultSiteEntry& site : FaultSites()) {
    const std::vector<std::string> words = FaultWordsAt(site.site);
    if (words.empty()) continue;
    absl::StrAppend(&help, "  ", site.name, "\n", WrapText(absl::StrJoin(words, " "), /*indent=*/6, kWidth));
  }
  return help;
}

std::string RunHelp() {
  std::string help = absl::StrCat(kRunHelpHead, FlagsText(RunFlagHelp()));
  absl::StrAppend(&help, "\nProfiles:\n", WrapText(absl::StrJoin(ProfileNames(), " "), /*indent=*/2, kWidth),
                  FaultHelp(), kRunHelpTail);
  return help;
}

}  // namespace aiolab
