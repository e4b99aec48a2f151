#include "kernel_model/fs/anon_inodes.h"

namespace aiolab {

std::shared_ptr<inode> AnonInode() {
  static const std::shared_ptr<inode>& anonymous = *new std::shared_ptr<inode>([] {
    auto node = std::make_shared<inode>();
    node->i_mode = 0600;
    return node;
  }());
  return anonymous;
}

}  // namespace aiolab
