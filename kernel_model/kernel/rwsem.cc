#include "kernel_model/kernel/rwsem.h"

namespace aiolab {
namespace {

void ForgetOwnersBeforeFork(rw_semaphore& sem) {
  if (sem.forks == current_kernel().forks) return;
  sem.forks = current_kernel().forks;
  sem.owner = nullptr;
  sem.readers = 0;
}

}  // namespace

bool down_write_trylock(rw_semaphore& sem, const void* owner) {
  ForgetOwnersBeforeFork(sem);
  BUG_ON(sem.owner == owner);
  if (sem.owner != nullptr || sem.readers > 0) return false;
  sem.owner = owner;
  return true;
}

bool down_read_trylock(rw_semaphore& sem) {
  ForgetOwnersBeforeFork(sem);
  if (sem.owner != nullptr) return false;
  ++sem.readers;
  return true;
}

void up_write(rw_semaphore& sem, const void* owner) {
  BUG_ON(sem.owner != owner);
  sem.owner = nullptr;
  if (current_kernel().bug != SeededBug::kInodeLockNotPassedOn) wake_up_all(sem.wait);
}

void up_read(rw_semaphore& sem) {
  BUG_ON(sem.readers == 0);
  if (--sem.readers == 0) wake_up_all(sem.wait);
}

}  // namespace aiolab
