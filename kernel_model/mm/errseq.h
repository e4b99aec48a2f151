// An error that everybody who has to know is told once: one value counts errors, and each observer keeps what he saw
// last.
//
// Mirrors: lib/errseq.c.
#ifndef KERNEL_MODEL_MM_ERRSEQ_H_
#define KERNEL_MODEL_MM_ERRSEQ_H_

#include <cstdint>

namespace aiolab {

// The error in the low bits, whether anybody has seen it above, how many there were above that.
using errseq_t = uint64_t;
inline constexpr errseq_t kErrseqErrorMask = 0xfff;
inline constexpr errseq_t kErrseqSeen = 0x1000;
inline constexpr errseq_t kErrseqCountOne = 0x2000;

// Notes `error` (-errno). One that nobody has seen yet is replaced without being counted again.
inline void errseq_set(errseq_t* eseq, int error) {
  const errseq_t old = *eseq;
  errseq_t made = (old & ~(kErrseqErrorMask | kErrseqSeen)) | static_cast<errseq_t>(-error);
  if ((old & kErrseqSeen) != 0) made += kErrseqCountOne;
  *eseq = made;
}

// Where a new observer begins. An error that nobody has seen yet is still news to him.
inline errseq_t errseq_sample(const errseq_t& eseq) {
  const bool news = eseq != 0 && (eseq & kErrseqSeen) == 0;
  return news ? 0 : eseq;
}

// The last error if there was one since `since`, else 0.
inline int errseq_check(const errseq_t& eseq, errseq_t since) {
  return (eseq | kErrseqSeen) == (since | kErrseqSeen) ? 0 : -static_cast<int>(eseq & kErrseqErrorMask);
}

// The same, and the observer has seen it now.
inline int errseq_check_and_advance(errseq_t* eseq, errseq_t* since) {
  if (*eseq == *since) return 0;
  if (*eseq != 0) *eseq |= kErrseqSeen;
  *since = *eseq;
  return -static_cast<int>(*eseq & kErrseqErrorMask);
}

}  // namespace aiolab

#endif  // KERNEL_MODEL_MM_ERRSEQ_H_
