#include "tests/conformance/known_differences.h"

#include <stdio.h>
#include <sys/utsname.h>

#include <utility>

namespace aiolab {
namespace {

std::pair<int, int> Version(const char* release) {
  int major = 0, minor = 0;
  sscanf(release, "%d.%d", &major, &minor);
  return {major, minor};
}

}  // namespace

bool AppliesHere(const KnownDifference& difference) {
  if (difference.before_kernel.empty()) return true;
  utsname system;
  uname(&system);
  return Version(system.release) < Version(difference.before_kernel.c_str());
}

const std::vector<KnownDifference>& KnownDifferences() {
  static const std::vector<KnownDifference>& differences = *new std::vector<KnownDifference>{
      // Older real kernels. The versions are those in which each thing came.
      {"host", "DirectTest.OnTmpfsNothingHasToBeAligned", "tmpfs refuses O_DIRECT", "6.6"},
      {"host", "RwfTest.NowaitOnAnEmptyPipeCompletesWithEagain", "pipes do not take RWF_NOWAIT", "6.4"},
      {"host", "RwfTest.NowaitOnAPipeWithDataReadsIt", "pipes do not take RWF_NOWAIT", "6.4"},
      {"host", "RwfTest.NoappendWritesAtTheOffsetOfAnAppendingFile", "no RWF_NOAPPEND", "6.9"},
      {"host", "RwfTest.AppendAndNoappendTogetherAreEinval", "no RWF_NOAPPEND", "6.9"},
      {"host", "ThreadsTest.AWaiterForManyDoesNotStarveAWaiterForOne", "wake-ups do not look at min_nr", "6.9"},
      {"host", "OrderTest.AContradictionOfRwFlagsComesBeforeAnUnsupportedOne", "no RWF_ATOMIC", "6.11"},
      {"host", "DiskRwfTest.AReadThatIsNotToBeCachedLeavesNoPagesThatWereNotThere", "no RWF_DONTCACHE", "6.14"},
      {"host", "DiskRwfTest.AReadThatIsNotToBeCachedLeavesPagesThatWereThere", "no RWF_DONTCACHE", "6.14"},
      {"host", "DiskRwfTest.AWriteThatIsNotToBeCachedIsGoneOnceItIsOnTheDisk", "no RWF_DONTCACHE", "6.14"},
      {"host", "DiskRwfTest.DontcacheMeansNothingToADirectRequest", "no RWF_DONTCACHE", "6.14"},
      {"host", "RwfTest.NosignalKeepsTheSignalOfABrokenPipeAway", "no RWF_NOSIGNAL", "6.18"},
      {"host", "RwfTest.NosignalIsTakenForAFile", "no RWF_NOSIGNAL", "6.18"},

      // The emulated kernel: see kernel_model/DIFFERENCES.md.
      {"retry", "DirectTest.TheBufferMayBeUnmappedInFlight", "the buffer's pages are not pinned", ""},
      {"mainline", "DirectTest.TheBufferMayBeUnmappedInFlight", "the buffer's pages are not pinned", ""},

      // What the retry profile is for: a request that would block leaves io_submit instead.
      {"retry", "FilesTest.AReadOfAnEmptyPipeBlocksInSubmit", "it is retried", ""},
      {"retry", "FilesTest.AWriteToAFullPipeBlocksInSubmit", "it is retried", ""},
      {"retry", "FilesTest.ASignalMakesABlockedPipeReadCompleteWithEintr", "no task sleeps in it", ""},
      {"retry", "FilesTest.ABlockedReadHoldsUpTheRestOfItsBatch", "it is retried", ""},
      {"retry", "IoCancelTest.AReadThatBlocksInSubmitCannotBeCancelled", "it does not block there", ""},
      {"retry", "SynchronousTest.ABufferedWriteIsDoneWhenSubmitReturns", "its page is absent", ""},
  };
  return differences;
}

}  // namespace aiolab
