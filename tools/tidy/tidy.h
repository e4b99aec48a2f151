// The house rules, as far as a program can check them: who may depend on whom, what product code may not use, how a
// file looks.
//
//   for (const Finding& finding : CheckTree(files)) std::cerr << finding << "\n";
//   // kernel_model/fs/aio.cc:120: [clock] clock_gettime( reads a clock that no replay repeats; ask Executor::Now() ...
//
// A line that has to break a rule says why, on itself or on the line before: `// tidy: allow <rule>: <reason>`.
#ifndef TOOLS_TIDY_TIDY_H_
#define TOOLS_TIDY_TIDY_H_

#include <ostream>
#include <string>
#include <vector>

#include "tools/tidy/source_file.h"

namespace aiolab::tidy {

struct Finding {
  std::string path;
  int line = 0;  // from 1
  std::string rule;
  std::string message;
};

std::ostream& operator<<(std::ostream& out, const Finding& finding);

// Everything that is wrong with `files`, in their order. Files are looked at together: a .cc is judged with its
// header's members.
std::vector<Finding> CheckTree(const std::vector<SourceFile>& files);

// Its three parts.
void CheckLayers(const SourceFile& file, std::vector<Finding>& findings);
// `header` is the .h of the same name, or null.
void CheckBans(const SourceFile& file, const SourceFile* header, std::vector<Finding>& findings);
void CheckLooks(const SourceFile& file, std::vector<Finding>& findings);

}  // namespace aiolab::tidy

#endif  // TOOLS_TIDY_TIDY_H_
