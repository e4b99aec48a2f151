// All processes that a client has become.
#ifndef TOOLS_AIOLAB_CLIENT_FAMILY_H_
#define TOOLS_AIOLAB_CLIENT_FAMILY_H_

#include <sys/types.h>

#include <string>
#include <vector>

namespace aiolab {

// Kills `ancestor`, a child of the caller, and all that it has started, parents before their children: none sees the
// others go. Those are its descendants, everyone whose environment had the entry `mark` ("NAME=value") when its program
// began, orphans too, and their descendants.
//
// Returns when the last of them has gone, with all that it held: locks, ports. Who has not after some seconds is
// returned.
std::vector<pid_t> KillFamily(pid_t ancestor, const std::string& mark);

}  // namespace aiolab

#endif  // TOOLS_AIOLAB_CLIENT_FAMILY_H_
