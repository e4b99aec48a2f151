// The kernels which the conformance tests run on. Another one joins the suite by an entry in AllBackends().
#ifndef TESTS_CONFORMANCE_BACKEND_H_
#define TESTS_CONFORMANCE_BACKEND_H_

#include <functional>
#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include "uapi/syscalls.h"

namespace aiolab {

struct Backend {
  // Letters, digits and underscores: the last part of each test's name, as in IoSetupTest.ZeroEventsIsEinval/host.
  std::string name;

  // A kernel for one test, in which that test's process has no context yet.
  std::function<std::unique_ptr<Syscalls>()> make_kernel;

  // A folder, as openat() of this kernel takes it, in which a test may make files, and which follows the rules of a
  // disk.
  std::string disk_dir;

  // The same with the rules of tmpfs.
  std::string tmpfs_dir;

  // One of the two, for tests of what both have to do; see BackendsWithFilesIn().
  std::string files_dir;

  // num_possible_cpus() of this kernel, from which it sizes rings.
  unsigned possible_cpus = 1;

  // What offset and length of a direct request in disk_dir have to be a multiple of, bytes; 1: no rule.
  unsigned disk_direct_alignment = 1;

  friend std::ostream& operator<<(std::ostream& os, const Backend& backend) { return os << backend.name; }
};

// Every kernel in this binary; after SelectBackend(), the selected one alone.
std::vector<Backend> AllBackends();

// The same, with files_dir set to `dir`.
std::vector<Backend> BackendsWithFilesIn(std::string Backend::*dir);

// Leaves only the backend `name`. Returns false, and changes nothing, if there is none. Call it before
// InitGoogleTest().
bool SelectBackend(const std::string& name);

}  // namespace aiolab

#endif  // TESTS_CONFORMANCE_BACKEND_H_
