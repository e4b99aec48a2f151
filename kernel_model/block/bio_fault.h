// What a fault rule makes of a bio on its way to its device.
//
// Differs: no counterpart in the kernel.
#ifndef KERNEL_MODEL_BLOCK_BIO_FAULT_H_
#define KERNEL_MODEL_BLOCK_BIO_FAULT_H_

#include "kernel_model/block/bio.h"

namespace aiolab {

// True if a rule has taken `bio` over: it will end with an error, or reach its device later.
bool fault_bio(bio* bio);

// A bio needs a request: true if a rule has ended it with -EAGAIN, because there is none and it may not wait. Another
// one has waited, if its task can.
bool fault_request(bio* bio);

}  // namespace aiolab

#endif  // KERNEL_MODEL_BLOCK_BIO_FAULT_H_
