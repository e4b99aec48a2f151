#include "kernel_model/fs/aio.h"

#include <errno.h>
#include <linux/capability.h>
#include <poll.h>
#include <time.h>

#include <algorithm>
#include <limits>

#include "absl/strings/str_cat.h"
#include "kernel_model/block/blkdev.h"
#include "kernel_model/fs/aio_fault.h"
#include "kernel_model/fs/aio_ring.h"
#include "kernel_model/kernel/signal.h"
#include "kernel_model/mm/uaccess.h"
#include "uapi/errno_name.h"
#include "uapi/raw_syscall.h"

// Read first: aio_run_iocb(), then aio_complete(); the rest is bookkeeping.

namespace aiolab {

struct kioctx_cpu {
  unsigned reqs_available = 0;
};

struct kioctx {
  mm_struct* mm = nullptr;
  list_head mm_contexts;
  int64_t trace_id = 0;
  int users = 0;  // system calls inside, and the table
  bool dead = false;

  aio_context_t user_id = 0;  // the ring's address, as far as is known
  void* mmap_base = nullptr;  // where it was mapped at first
  aio_ring* ring = nullptr;   // the kernel's view of it
  size_t nr_pages = 0;
  unsigned id = 0;  // index in mm's table

  std::vector<kioctx_cpu> cpu;
  unsigned req_batch = 0;       // slots that move between a CPU and the context at a time
  unsigned max_reqs = 0;        // what io_setup was asked for: charged to aio_nr
  unsigned nr_events = 0;       // size of the ring, in events
  unsigned reqs_available = 0;  // slots that no CPU holds
  unsigned tail = 0;            // ours; the client can write to the ring's
  unsigned completed_events = 0;

  list_head active_reqs;                                          // that can be cancelled, oldest first
  absl::flat_hash_map<uint64_t, list_head*> active_by_user_iocb;  // finds them by the iocb's address
  list_head reqs;                                                 // every request in flight
  size_t nr_reqs = 0;
  wait_queue_head requests_done;  // woken when nr_reqs falls to 0 in a dead context

  wait_queue_head wait;  // who waits for events
  work_struct wq;        // aio_kick_handler
  list_head run_list;    // requests that were kicked

  std::vector<int64_t> slot_request;  // which request's event lies in a slot, for traces
};

struct fsync_iocb {
  work_struct work;
  bool datasync = false;
  fsync_state state;
};

struct poll_iocb {
  __poll_t events = 0;
  bool cancelled = false;
  bool work_scheduled = false;
  bool work_need_resched = false;
  wait_queue_entry wait;
  work_struct work;
};

struct aio_kiocb {
  kiocb rw;
  fsync_iocb fsync;
  poll_iocb poll;

  kioctx* ki_ctx = nullptr;
  uint16_t opcode = 0;
  io_event ki_res = {};
  void (*ki_cancel)(aio_kiocb* req) = nullptr;
  list_head ki_list;  // in active_reqs or in the chain behind active_by_user_iocb
  list_head ki_same_iocb;
  list_head ki_in_flight;
  int ki_refcnt = 0;
  eventfd_ctx* ki_eventfd = nullptr;  // a reference

  // Reads and writes, which may take several attempts.
  ssize_t (*ki_retry)(aio_kiocb* req) = nullptr;
  list_head ki_run_list;
  bool ki_running = false;  // an attempt is under way
  bool ki_kicked = false;   // somebody wants another attempt
  int ki_attempts = 0;
  wait_queue_entry ki_wait;
  iov_iter ki_iter;  // ki_left is its count
  size_t ki_nbytes = 0;
  std::unique_ptr<aio_fate> ki_fate;  // what a fault rule makes of it
};

namespace {

// The smallest batch that io_submit plugs.
constexpr long kAioPlugThreshold = 2;

// What one iocb costs its submitter on today's machines, beside the system call itself. With this, one thread of fio
// gets 1.0 million cached reads of 4 KiB a second, and 2.0 million in batches of 32; from Linux 6.18 on a server of
// 2023 it gets 1.1 and 1.7 million.
constexpr int64_t kSubmitOneNs = 300;

// A work item that may free its request must not touch it afterwards; so none of these functions looks back.
void aio_complete(aio_kiocb* iocb);
void aio_queue_work(kioctx* ctx);
void kick_iocb(aio_kiocb* iocb);

// ---- The ring
// ------------------------------------------------------------------------------------------------------------

int aio_setup_ring(kioctx* ctx, unsigned nr_events) {
  const AioRingGeometry geometry = AioRingGeometryFor(nr_events);
  if (fault_armed(FaultSite::kRingMapping)) [[unlikely]] {
    if (const int error = fault_ring_mapping(); error != 0) return error;
  }
  void* const ring = ctx->mm->rings.Map(geometry.pages);
  if (ring == nullptr) return -ENOMEM;
  ctx->user_id = reinterpret_cast<aio_context_t>(ring);
  ctx->mmap_base = ring;
  ctx->ring = static_cast<aio_ring*>(ctx->mm->rings.KernelView(ring));
  ctx->nr_pages = geometry.pages;
  ctx->nr_events = geometry.events;
  *ctx->ring = {.id = ~0u,
                .nr = geometry.events,
                .head = 0,
                .tail = 0,
                .magic = AIO_RING_MAGIC,
                .compat_features = AIO_RING_COMPAT_FEATURES,
                .incompat_features = AIO_RING_INCOMPAT_FEATURES,
                .header_length = sizeof(aio_ring)};
  return 0;
}

// The client writes both words whenever it likes; they are read once and never trusted.
unsigned ReadShared(const uint32_t& word) { return __atomic_load_n(&word, __ATOMIC_ACQUIRE); }
void WriteShared(uint32_t& word, unsigned value) { __atomic_store_n(&word, value, __ATOMIC_RELEASE); }

// ---- Cancellation
// --------------------------------------------------------------------------------------------------------

void AddActive(aio_kiocb* req) {
  kioctx* const ctx = req->ki_ctx;
  list_add_tail(&req->ki_list, &ctx->active_reqs);
  // The same iocb may have been submitted twice: the newer stands behind the older.
  const auto [found, added] = ctx->active_by_user_iocb.try_emplace(req->ki_res.obj, &req->ki_same_iocb);
  if (!added) list_add_tail(&req->ki_same_iocb, found->second);
}

void RemoveActive(aio_kiocb* req) {
  if (list_empty(&req->ki_list)) return;
  list_del_init(&req->ki_list);
  kioctx* const ctx = req->ki_ctx;
  const auto found = ctx->active_by_user_iocb.find(req->ki_res.obj);
  if (found->second == &req->ki_same_iocb) {
    if (list_empty(&req->ki_same_iocb)) {
      ctx->active_by_user_iocb.erase(found);
    } else {
      found->second = req->ki_same_iocb.next;
    }
  }
  list_del_init(&req->ki_same_iocb);
}

// ---- Contexts
// ------------------------------------------------------------------------------------------------------------

void free_ioctx(kioctx* ctx) {
  list_del_init(&ctx->wq.entry);  // queued for requests that somebody else has run meanwhile
  list_del_init(&ctx->mm_contexts);
  ctx->mm->rings.Unmap(ctx->mmap_base, reinterpret_cast<void*>(ctx->user_id), ctx->nr_pages);
  delete ctx;
}

void put_ioctx(kioctx* ctx) {
  if (--ctx->users == 0 && ctx->nr_reqs == 0) free_ioctx(ctx);
}

void ioctx_add_table(kioctx* ctx, mm_struct* mm) {
  std::vector<kioctx*>& table = mm->ioctx_table;
  // The lowest free slot; the table grows to four times its size, and begins with four.
  const auto free = std::find(table.begin(), table.end(), nullptr);
  const auto id = static_cast<size_t>(free - table.begin());
  if (free == table.end()) table.resize(std::max<size_t>(table.size(), 1) * 4);
  ctx->id = static_cast<unsigned>(id);
  table[id] = ctx;
  ctx->ring->id = ctx->id;
}

void aio_kick_handler(work_struct* work);

void TraceNoRoom() { TRACE_EVENT("ioctx_alloc", {{"ret", "-EAGAIN"}, {"why", "aio-max-nr"}}); }

int ioctx_alloc(unsigned nr_events, kioctx** made) {
  mm_struct* const mm = current().mm;
  const unsigned max_reqs = nr_events;
  const auto cpus = static_cast<unsigned>(current_kernel().nr_cpus);

  // Up to half of the slots may lie with other CPUs, so there are twice as many as were asked for. The doubling may
  // overflow, as in the kernel: io_setup(0x80000000) is then EAGAIN, not EINVAL.
  nr_events = std::max(nr_events, cpus * 4);
  nr_events *= 2;
  if (nr_events > 0x10000000U / sizeof(io_event)) return -EINVAL;
  if (nr_events == 0 || max_reqs > mm->aio_max_nr) {
    TraceNoRoom();
    return -EAGAIN;
  }

  if (fault_armed(FaultSite::kSlab) && fault_slab()) [[unlikely]]
    return -ENOMEM;
  auto ctx = std::make_unique<kioctx>();
  ctx->mm = mm;
  ctx->max_reqs = max_reqs;
  ctx->cpu.resize(cpus);
  INIT_WORK(&ctx->wq, aio_kick_handler, "aio_kick_handler");
  if (const int error = aio_setup_ring(ctx.get(), nr_events); error != 0) return error;
  ctx->reqs_available = ctx->nr_events - 1;
  ctx->req_batch = std::max((ctx->nr_events - 1) / (cpus * 4), 1u);

  if (mm->aio_nr + max_reqs > mm->aio_max_nr) {
    mm->rings.Unmap(ctx->mmap_base, ctx->mmap_base, ctx->nr_pages);
    TraceNoRoom();
    return -EAGAIN;
  }
  mm->aio_nr += max_reqs;
  ctx->users = 2;  // the table's, and io_setup's
  ctx->trace_id = mm->next_context_id++;
  list_add_tail(&ctx->mm_contexts, &mm->contexts);
  ioctx_add_table(ctx.get(), mm);
  *made = ctx.release();
  return 0;
}

// False if somebody else kills it already.
bool kill_ioctx(kioctx* ctx) {
  if (ctx->dead) return false;
  ctx->dead = true;
  mm_struct* const mm = ctx->mm;
  mm->ioctx_table[ctx->id] = nullptr;
  wake_up_all(ctx->wait);
  mm->aio_nr -= ctx->max_reqs;
  mm->rings.Hide(reinterpret_cast<void*>(ctx->user_id), ctx->nr_pages);
  // What can be cancelled, is.
  while (!list_empty(&ctx->active_reqs)) {
    aio_kiocb* const req = list_entry(ctx->active_reqs.next, aio_kiocb, ki_list);
    RemoveActive(req);
    req->ki_cancel(req);
  }
  return true;
}

// The address of the client's iocb's aio_key. The pointer may be any number.
uint32_t* UserKey(const iocb* user_iocb) {
  return reinterpret_cast<uint32_t*>(reinterpret_cast<uintptr_t>(user_iocb) + offsetof(iocb, aio_key));
}

kioctx* lookup_ioctx(aio_context_t ctx_id) {
  mm_struct* const mm = current().mm;
  uint32_t id;
  // Whatever the client passes need not be a ring, nor be aligned as one.
  if (get_user(id, reinterpret_cast<const uint32_t*>(ctx_id + offsetof(aio_ring, id))) != 0) return nullptr;
  if (id >= mm->ioctx_table.size()) return nullptr;
  kioctx* const ctx = mm->ioctx_table[id];
  if (ctx == nullptr) return nullptr;
  if (ctx->user_id != ctx_id) {
    // The kernel hears of an mremap at once (aio_ring_mremap), the model when the ring is used at its new address.
    if (!mm->rings.HasMoved(ctx->mmap_base, reinterpret_cast<const void*>(ctx_id))) return nullptr;
    ctx->user_id = ctx_id;
  }
  ++ctx->users;
  return ctx;
}

// ---- Slots
// ---------------------------------------------------------------------------------------------------------------

void put_reqs_available(kioctx* ctx, unsigned nr) {
  kioctx_cpu& kcpu = ctx->cpu[static_cast<size_t>(smp_processor_id())];
  kcpu.reqs_available += nr;
  while (kcpu.reqs_available >= ctx->req_batch * 2) {
    kcpu.reqs_available -= ctx->req_batch;
    ctx->reqs_available += ctx->req_batch;
  }
}

bool TryGetReqsAvailable(kioctx* ctx) {
  kioctx_cpu& kcpu = ctx->cpu[static_cast<size_t>(smp_processor_id())];
  if (kcpu.reqs_available == 0) {
    if (ctx->reqs_available < ctx->req_batch) return false;
    ctx->reqs_available -= ctx->req_batch;
    kcpu.reqs_available += ctx->req_batch;
  }
  --kcpu.reqs_available;
  return true;
}

// Gives back the slots of events which the client has taken out of the ring since the last look.
void refill_reqs_available(kioctx* ctx, unsigned head, unsigned tail) {
  const unsigned in_ring = AioRingCount(head % ctx->nr_events, tail, ctx->nr_events);
  if (ctx->completed_events <= in_ring) return;
  const unsigned reaped = ctx->completed_events - in_ring;
  ctx->completed_events -= reaped;
  put_reqs_available(ctx, reaped);
}

bool get_reqs_available(kioctx* ctx) {
  if (TryGetReqsAvailable(ctx)) return true;
  if (ctx->completed_events > 0) refill_reqs_available(ctx, ReadShared(ctx->ring->head), ctx->tail);
  return TryGetReqsAvailable(ctx);
}

// Null: there is no memory (`why`), or no slot.
aio_kiocb* aio_get_req(kioctx* ctx, const char** why) {
  *why = "no memory";
  if (fault_armed(FaultSite::kSlab) && fault_slab()) [[unlikely]]
    return nullptr;
  *why = "no slot in the ring";
  if (!get_reqs_available(ctx)) return nullptr;
  std::vector<aio_kiocb*>& cache = ctx->mm->kiocb_cachep;
  aio_kiocb* req;
  if (cache.empty()) {
    req = new aio_kiocb;
  } else {
    req = cache.back();
    cache.pop_back();
  }
  req->ki_ctx = ctx;
  req->ki_refcnt = 2;  // one for the completion, one for the submitter
  req->ki_attempts = 0;
  req->ki_running = req->ki_kicked = false;
  req->rw.ki_filp = nullptr;
  req->ki_eventfd = nullptr;
  req->rw.ki_flags = 0;
  req->rw.ki_waits_for = nullptr;
  req->rw.ki_progress.holds_i_rwsem = false;
  req->rw.ki_progress.page = ~uint64_t{0};
  req->rw.ki_progress.fault_asked_at = -1;
  req->rw.ki_progress.sync.reset();
  req->ki_nbytes = req->ki_iter.count = 0;
  req->rw.ki_id = ctx->mm->next_request_id++;
  list_add_tail(&req->ki_in_flight, &ctx->reqs);
  ++ctx->nr_reqs;
  return req;
}

void iocb_destroy(aio_kiocb* iocb) {
  kioctx* const ctx = iocb->ki_ctx;
  if (iocb->ki_eventfd != nullptr) iocb->ki_eventfd->put();
  iocb->ki_fate.reset();
  if (iocb->rw.ki_filp != nullptr) fput(iocb->rw.ki_filp);
  list_del_init(&iocb->ki_in_flight);
  ctx->mm->kiocb_cachep.push_back(iocb);
  if (--ctx->nr_reqs > 0) return;
  if (ctx->dead) wake_up_all(ctx->requests_done);
  if (ctx->users == 0) free_ioctx(ctx);
}

void CompleteAndDestroy(aio_kiocb* iocb) {
  const int64_t ctx_id = iocb->ki_ctx->trace_id;
  // An event too many needs a slot of its own.
  const bool twice = iocb->ki_fate != nullptr && iocb->ki_fate->result.kind == FaultKind::kDuplicate;
  if (twice && get_reqs_available(iocb->ki_ctx)) aio_complete(iocb);
  aio_complete(iocb);
  iocb_destroy(iocb);
  if (!list_empty(&current_kernel().held_back)) [[unlikely]]
    release_overtaken(ctx_id);
}

void iocb_put(aio_kiocb* iocb) {
  if (--iocb->ki_refcnt > 0) return;
  aio_fate* const fate = iocb->ki_fate.get();
  if (fate != nullptr && fault_holds_completion(fate, &iocb->rw, &iocb->ki_iter, &iocb->ki_res)) [[unlikely]]
    return;
  CompleteAndDestroy(iocb);
}

// An accepted request at an occasion of the fault rules.
FaultPoint PointOf(const aio_kiocb& req, const iocb& user) {
  FaultPoint point = fault_point(req.rw, req.ki_nbytes);
  point.op = user.aio_lio_opcode;
  point.fd = static_cast<int>(user.aio_fildes);
  point.off = user.aio_offset;
  point.rwf = user.aio_rw_flags;
  point.ctx = req.ki_ctx->trace_id;
  point.others = req.ki_ctx->nr_reqs > 1;
  return point;
}

// True if a fault rule has taken `req` over: its I/O is not done, and it will complete.
bool FaultTakesOver(aio_kiocb* req, const iocb& user) {
  req->ki_fate = fault_complete(PointOf(*req, user), &req->rw, &req->ki_iter);
  aio_fate* const fate = req->ki_fate.get();
  if (fate == nullptr) return false;
  fate->iocb = req;
  fate->complete = CompleteAndDestroy;
  fate->end_without_io = [](aio_kiocb* iocb, long res) {
    iocb->ki_res.res = res;
    iocb_put(iocb);
  };
  if (!fate->skips_io) return false;
  end_skipped_io(fate, &req->rw);
  return true;
}

bool FaultKeepsSignal(const aio_kiocb& iocb) {
  FaultPoint point = fault_point(iocb.rw, iocb.ki_nbytes);
  point.op = iocb.opcode;
  point.ctx = iocb.ki_ctx->trace_id;
  return fault_eventfd(point, *iocb.ki_eventfd);
}

// ---- Completion and reaping
// ----------------------------------------------------------------------------------------------

struct aio_waiter {
  wait_queue_entry w;
  unsigned min_nr;
};

void CountRefusal(kioctx* ctx, uint16_t opcode, int error) {
  ++ctx->mm->operations[AioOperationKey(opcode, kAioOperationRefused | static_cast<uint32_t>(1 - error))];
}

void CountOutcome(const aio_kiocb& iocb) {
  const int64_t res = iocb.ki_res.res;
  const bool moves_bytes = iocb.ki_retry != nullptr;
  const uint32_t outcome = res < 0                                                    ? static_cast<uint32_t>(1 - res)
                           : moves_bytes && static_cast<size_t>(res) < iocb.ki_nbytes ? kAioOperationShort
                                                                                      : kAioOperationOk;
  ++iocb.ki_ctx->mm->operations[AioOperationKey(iocb.opcode, outcome)];
}

void aio_complete(aio_kiocb* iocb) {
  kioctx* const ctx = iocb->ki_ctx;
  CountOutcome(*iocb);
  // Of a dead context nobody can see the ring.
  unsigned avail = 0;
  if (!ctx->dead) {
    unsigned tail = ctx->tail;
    ctx->ring->events()[tail] = iocb->ki_res;
    if (current_kernel().trace.enabled()) {
      ctx->slot_request.resize(ctx->nr_events);
      ctx->slot_request[tail] = iocb->rw.ki_id;
    }
    TRACE_EVENT("aio_complete", {{"ctx", ctx->trace_id},
                                 {"req", iocb->rw.ki_id},
                                 {"slot", tail},
                                 {"res", ResultName(static_cast<long>(iocb->ki_res.res))}});
    if (++tail >= ctx->nr_events) tail = 0;
    ctx->tail = tail;
    const unsigned head = ReadShared(ctx->ring->head);
    WriteShared(ctx->ring->tail, tail);
    ++ctx->completed_events;
    if (ctx->completed_events > 1) refill_reqs_available(ctx, head, tail);
    avail = tail > head ? tail - head : tail + ctx->nr_events - head;
  }

  if (iocb->ki_eventfd != nullptr && (!fault_armed(FaultSite::kEventfd) || !FaultKeepsSignal(*iocb))) {
    TRACE_EVENT("eventfd_signal", {{"req", iocb->rw.ki_id}});
    iocb->ki_eventfd->signal();
  }
  // Only those for whom it is enough are woken.
  for (list_head *entry = ctx->wait.head.next, *next; entry != &ctx->wait.head; entry = next) {
    next = entry->next;
    auto* const waiter = container_of(list_entry(entry, wait_queue_entry, entry), aio_waiter, w);
    if (avail < waiter->min_nr) continue;
    list_del_init(entry);
    wake_up_process(*static_cast<task_struct*>(waiter->w.private_data));
  }
}

// Copies events to the client until `nr`, an empty ring or a bad address. Returns how many, or -EFAULT: then the head
// stays, and nothing is lost.
long aio_read_events_ring(kioctx* ctx, io_event* events, long nr) {
  unsigned head = ReadShared(ctx->ring->head);
  unsigned tail = ReadShared(ctx->ring->tail);
  if (head == tail) return 0;
  head %= ctx->nr_events;
  tail %= ctx->nr_events;

  const unsigned first = head;
  long copied = 0;
  while (copied < nr && head != tail) {
    const auto contiguous = static_cast<long>((head <= tail ? tail : ctx->nr_events) - head);
    const long n = std::min(contiguous, nr - copied);
    if (copy_to_user(events + copied, ctx->ring->events() + head, static_cast<size_t>(n) * sizeof(io_event)) != 0) {
      return -EFAULT;
    }
    copied += n;
    head = (head + static_cast<unsigned>(n)) % ctx->nr_events;
  }
  WriteShared(ctx->ring->head, head);
  if (copied > 0 && current_kernel().trace.enabled()) {
    ctx->slot_request.resize(ctx->nr_events);
    std::string requests;
    for (unsigned slot = first; slot != head; slot = (slot + 1) % ctx->nr_events) {
      absl::StrAppend(&requests, requests.empty() ? "" : ",", ctx->slot_request[slot]);
    }
    TRACE_EVENT("aio_read_events", {{"ctx", ctx->trace_id}, {"req", requests}, {"head", head}, {"tail", tail}});
  }
  return copied;
}

// True if io_getevents has what it needs, or an error.
bool aio_read_events(kioctx* ctx, long min_nr, long nr, io_event* events, long* collected) {
  long ret = aio_read_events_ring(ctx, events + *collected, nr - *collected);
  if (ret > 0) *collected += ret;
  if (ctx->dead) ret = -EINVAL;
  if (*collected == 0) *collected = ret;
  return ret < 0 || *collected >= min_nr;
}

void aio_run_all_iocbs(kioctx* ctx);

// A wait begins, with `ret` of `min_nr` events. Returns how many of them are enough, or -EINTR: a signal ends it now.
long FaultInterruptsWait(FaultSite site, const kioctx& ctx, long ret, long min_nr) {
  FaultPoint point;
  point.ctx = ctx.trace_id;
  point.size = static_cast<uint64_t>(min_nr);
  if (ask_fault(site, FaultKindBit(FaultKind::kErrno), point)) return -EINTR;
  const Fault fewer = ask_fault(site, FaultKindBit(FaultKind::kShort), point);
  return fewer ? std::max(ret, static_cast<long>(fewer.n)) : min_nr;
}

long read_events(kioctx* ctx, long min_nr, long nr, io_event* events, int64_t until_ns, FaultSite site) {
  long ret = 0;
  bool waits = !aio_read_events(ctx, min_nr, nr, events, &ret);
  // Who would have to wait helps, once: requests that were kicked run here rather than in the worker. As in 3.4.
  if (waits && !list_empty(&ctx->run_list)) {
    aio_run_all_iocbs(ctx);
    waits = !aio_read_events(ctx, min_nr, nr, events, &ret);
  }
  waits = waits && until_ns != 0;
  if (fault_armed(site) && (waits || ret == 0)) [[unlikely]] {
    const long least = FaultInterruptsWait(site, *ctx, ret, min_nr);
    if (least < 0) return ret == 0 ? least : ret;
    min_nr = least;
  }
  if (!waits || ret >= min_nr) return ret;

  // A negative timeout never runs out, as in the kernel.
  const int64_t now_ns = current_kernel().executor.NowNs();
  const int64_t deadline_ns = until_ns < 0 || until_ns > kNoDeadline - now_ns ? kNoDeadline : now_ns + until_ns;
  aio_waiter waiter;
  waiter.w.func = default_wake_function;
  waiter.w.private_data = &current();
  const auto describe = [&] {
    return absl::StrCat(
        "waits in io_getevents for ", min_nr - ret, min_nr - ret == 1 ? " event" : " events", " of context ",
        ctx->trace_id, ", which has ",
        ctx->nr_reqs == 0 ? "nothing" : absl::StrCat(ctx->nr_reqs, ctx->nr_reqs == 1 ? " request" : " requests"),
        " in flight");
  };
  const absl::FunctionRef<std::string()> describe_sleep = describe;
  current().describe_sleep = &describe_sleep;
  for (;;) {
    waiter.min_nr = static_cast<unsigned>(min_nr - ret);
    if (list_empty(&waiter.w.entry)) add_wait_queue(ctx->wait, &waiter.w);
    const auto enough = [&] {
      if (ctx->dead || list_empty(&waiter.w.entry)) return true;
      const unsigned in_ring = AioRingCount(ReadShared(ctx->ring->head) % ctx->nr_events,
                                            ReadShared(ctx->ring->tail) % ctx->nr_events, ctx->nr_events);
      return in_ring >= waiter.min_nr;
    };
    const SleepResult slept = schedule_until(enough, deadline_ns, /*interruptible=*/true);
    const bool done = aio_read_events(ctx, min_nr, nr, events, &ret);
    if (done) break;
    if (slept == SleepResult::kSignal) {
      if (ret == 0) ret = -EINTR;
      break;
    }
    if (slept == SleepResult::kStuck) {
      if (ret == 0) ret = -EDEADLK;
      break;
    }
    if (slept == SleepResult::kTimedOut) break;
  }
  current().describe_sleep = nullptr;
  remove_wait_queue(&waiter.w);
  return ret;
}

// ---- The retry engine
// ----------------------------------------------------------------------------------------------------

// Puts a kicked request on its context's run list. False if it is there already, or an attempt is under way: that one
// looks at ki_kicked when it ends.
bool queue_kicked_iocb(aio_kiocb* iocb) {
  if (iocb->ki_running || !list_empty(&iocb->ki_run_list)) return false;
  list_add_tail(&iocb->ki_run_list, &iocb->ki_ctx->run_list);
  return true;
}

// Runs one attempt of `iocb`, and completes it unless the attempt returned -EIOCBQUEUED (someone else will) or
// -EIOCBRETRY (a later kick runs it again). A kick that arrives during the attempt is remembered, not queued: at most
// one attempt per iocb is in progress.
void aio_run_iocb(aio_kiocb* iocb) {
  kioctx* const ctx = iocb->ki_ctx;
  iocb->ki_kicked = false;
  iocb->ki_running = true;
  const int64_t id = iocb->rw.ki_id;
  const int attempt = ++iocb->ki_attempts;

  const ssize_t ret = iocb->ki_retry(iocb);
  if (ret == -EIOCBQUEUED) {
    // From here on the request belongs to its completion, and may be gone.
    TRACE_EVENT("aio_run_iocb", {{"req", id}, {"attempt", attempt}, {"ret", ResultName(ret)}});
    return;
  }
  TRACE_EVENT("aio_run_iocb", {{"req", id}, {"attempt", attempt}, {"ret", ResultName(ret)}});
  iocb->ki_running = false;
  if (ret == -EIOCBRETRY) {
    ++current_kernel().stats.retries;
    if (iocb->ki_kicked && queue_kicked_iocb(iocb)) aio_queue_work(ctx);
    return;
  }
  // The system call cannot be restarted: other requests of it may be under way.
  iocb->rw.ki_complete(&iocb->rw, WithoutRestart(ret));
}

// Runs what is on the run list now. True if more has come meanwhile.
bool aio_run_iocbs(kioctx* ctx) {
  list_head run_list;
  list_replace_init(&ctx->run_list, &run_list);
  while (!list_empty(&run_list)) {
    aio_kiocb* const iocb = list_entry(run_list.next, aio_kiocb, ki_run_list);
    list_del_init(&iocb->ki_run_list);
    aio_run_iocb(iocb);
  }
  return !list_empty(&ctx->run_list);
}

void aio_queue_work(kioctx* ctx) { queue_work(current_kernel().aio_wq, &ctx->wq); }

void aio_run_all_iocbs(kioctx* ctx) {
  while (aio_run_iocbs(ctx)) {
  }
}

void aio_kick_handler(work_struct* work) {
  kioctx* const ctx = container_of(work, kioctx, wq);
  TRACE_EVENT("aio_kick_handler", {{"ctx", ctx->trace_id}});
  ++ctx->users;
  bool requeue;
  {
    ScopedUseMm use_mm(current_kernel().bug == SeededBug::kWorkerWithoutMm ? nullptr : ctx->mm);
    requeue = aio_run_iocbs(ctx);
  }
  if (requeue) aio_queue_work(ctx);
  put_ioctx(ctx);
}

void kick_iocb(aio_kiocb* iocb) {
  kioctx* const ctx = iocb->ki_ctx;
  kernel_state& kernel = current_kernel();
  ++kernel.stats.kicks;
  TRACE_EVENT("kick_iocb", {{"req", iocb->rw.ki_id}});
  if (kernel.bug == SeededBug::kLostKick && !list_empty(&ctx->wq.entry)) return;
  iocb->ki_kicked = true;
  if (queue_kicked_iocb(iocb)) aio_queue_work(ctx);
}

// What a retried request leaves on the wait queue of what it waits for.
int aio_wake_function(wait_queue_entry* entry, uint32_t) {
  remove_wait_queue(entry);
  kick_iocb(container_of(entry, aio_kiocb, ki_wait));
  return 1;
}

// ---- Reads and writes
// ----------------------------------------------------------------------------------------------------

// Bytes that earlier attempts moved count: a failure after progress is a short transfer.
void aio_complete_rw(kiocb* kiocb, long res) {
  aio_kiocb* const iocb = container_of(kiocb, aio_kiocb, rw);
  RemoveActive(iocb);
  const size_t done = iocb->ki_iter.done;
  if ((kiocb->ki_flags & IOCB_WRITE) != 0 && kiocb->ki_filp->f_inode->i_sb != nullptr) {
    current_kernel().stats.bytes_written += done;
  }
  iocb->ki_res.res = done > 0 ? static_cast<int64_t>(done) : res;
  iocb->ki_res.res2 = 0;
  iocb_put(iocb);
}

ssize_t aio_rw_retry(aio_kiocb* req) {
  const file_operations& f_op = *req->rw.ki_filp->f_op;
  return (req->rw.ki_flags & IOCB_WRITE) != 0 ? f_op.write_iter(&req->rw, &req->ki_iter)
                                              : f_op.read_iter(&req->rw, &req->ki_iter);
}

// The client's capabilities are the ones that its thread has on the host.
bool MayUseRealTimeClass() {
  __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {};
  if (RawSyscall(__NR_capget, &header, data) != 0) return false;
  constexpr uint32_t kEnough = (1u << CAP_SYS_ADMIN) | (1u << CAP_SYS_NICE);
  return (data[0].effective & kEnough) != 0;
}

// The kernel's ioprio classes: 0 none, 1 real time, 2 best effort, 3 idle.
int ioprio_check_cap(int ioprio) {
  const int ioprio_class = ioprio >> 13;
  const int level = ioprio & 7;
  switch (ioprio_class) {
    case 0:
      return level != 0 ? -EINVAL : 0;
    case 1:
      return MayUseRealTimeClass() ? 0 : -EPERM;
    case 2:
    case 3:
      return 0;
    default:
      return -EINVAL;
  }
}

int aio_prep_rw(aio_kiocb* req, const iocb& iocb, bool write) {
  kiocb& rw = req->rw;
  rw.ki_complete = aio_complete_rw;
  rw.ki_pos = iocb.aio_offset;
  rw.ki_flags = iocb_flags(*rw.ki_filp);
  if ((iocb.aio_flags & IOCB_FLAG_IOPRIO) != 0) {
    if (const int error = ioprio_check_cap(iocb.aio_reqprio); error != 0) return error;
  }
  if (const int error = kiocb_set_rw_flags(&rw, iocb.aio_rw_flags, write); error != 0) return error;
  rw.ki_flags &= ~IOCB_HIPRI;  // nobody polls for these completions
  return 0;
}

int aio_rw(aio_kiocb* req, const iocb& iocb, bool write, bool vectored) {
  if (const int error = aio_prep_rw(req, iocb, write); error != 0) return error;
  const file& filp = *req->rw.ki_filp;
  if ((filp.f_mode & (write ? FMODE_WRITE : FMODE_READ)) == 0) return -EBADF;
  if ((write ? filp.f_op->write_iter : filp.f_op->read_iter) == nullptr) return -EINVAL;

  auto* const buf = reinterpret_cast<void*>(iocb.aio_buf);
  // The kernel takes a vector's length as 32 bits.
  const int imported =
      vectored ? import_iovec(static_cast<const iovec*>(buf), static_cast<unsigned>(iocb.aio_nbytes), &req->ki_iter)
               : import_single_range(buf, iocb.aio_nbytes, &req->ki_iter);
  if (imported < 0) return imported;
  req->ki_nbytes = req->ki_iter.count;
  if (const int error = rw_verify_area(filp, req->rw.ki_pos, req->ki_nbytes); error != 0) return error;

  if (write) req->rw.ki_flags |= IOCB_WRITE;
  req->ki_retry = aio_rw_retry;
  req->ki_wait.func = aio_wake_function;
  req->rw.ki_wait = current_kernel().profile.buffered_io_retries ? &req->ki_wait : nullptr;
  if (fault_armed(FaultSite::kComplete) && FaultTakesOver(req, iocb)) [[unlikely]]
    return 0;
  aio_run_iocb(req);
  return 0;
}

// ---- fsync
// ---------------------------------------------------------------------------------------------------------------

int aio_fsync_wake(wait_queue_entry* entry, uint32_t) {
  remove_wait_queue(entry);
  return schedule_work(&container_of(entry, aio_kiocb, ki_wait)->fsync.work) ? 1 : 0;
}

// A worker cannot sleep: it leaves while the flush is under way, and the flush's end queues it again.
void aio_fsync_work(work_struct* work) {
  aio_kiocb* const iocb = container_of(work, aio_kiocb, fsync.work);
  file* const filp = iocb->rw.ki_filp;
  iocb->rw.ki_waits_for = "a flush of the device";
  const int ret = vfs_fsync(filp, iocb->fsync.datasync ? 1 : 0, &iocb->fsync.state);
  if (ret == -EIOCBRETRY) return;
  iocb->ki_res.res = ret;
  iocb_put(iocb);
}

int aio_fsync(aio_kiocb* req, const iocb& iocb, bool datasync) {
  if (iocb.aio_buf != 0 || iocb.aio_offset != 0 || iocb.aio_nbytes != 0 || iocb.aio_rw_flags != 0) return -EINVAL;
  if (req->rw.ki_filp->f_op->fsync == nullptr) return -EINVAL;
  // The credentials with which the worker will write.
  if (fault_armed(FaultSite::kSlab) && fault_slab()) [[unlikely]]
    return -ENOMEM;
  req->fsync.datasync = datasync;
  req->fsync.state.Begin(&req->ki_wait);
  req->ki_wait.func = aio_fsync_wake;
  req->rw.ki_waits_for = "a worker";
  INIT_WORK(&req->fsync.work, aio_fsync_work, "aio_fsync_work");
  if (fault_armed(FaultSite::kComplete) && FaultTakesOver(req, iocb)) [[unlikely]]
    return 0;
  schedule_work(&req->fsync.work);
  return 0;
}

// ---- poll
// ----------------------------------------------------------------------------------------------------------------

void aio_poll_complete_work(work_struct* work) {
  poll_iocb* const req = container_of(work, poll_iocb, work);
  aio_kiocb* const iocb = container_of(req, aio_kiocb, poll);
  poll_table_struct pt;
  pt._key = req->events;
  const __poll_t mask = req->cancelled ? 0 : vfs_poll(iocb->rw.ki_filp, &pt) & req->events;
  if (mask == 0 && !req->cancelled) {
    // Not ready after all. A wake-up that came meanwhile means another look.
    if (req->work_need_resched) {
      schedule_work(&req->work);
      req->work_need_resched = false;
    } else {
      req->work_scheduled = false;
    }
    return;
  }
  remove_wait_queue(&req->wait);
  RemoveActive(iocb);
  iocb->ki_res.res = mask;
  iocb_put(iocb);
}

void aio_poll_cancel(aio_kiocb* iocb) {
  poll_iocb& req = iocb->poll;
  req.cancelled = true;
  if (req.work_scheduled) return;
  schedule_work(&req.work);
  req.work_scheduled = true;
}

int aio_poll_wake(wait_queue_entry* entry, uint32_t mask) {
  poll_iocb* const req = container_of(entry, poll_iocb, wait);
  aio_kiocb* const iocb = container_of(req, aio_kiocb, poll);
  if (mask != 0 && (mask & req->events) == 0) return 0;
  // Completes here and now if the wake-up says what happened. The event then carries all of that, not only what was
  // asked for.
  if (mask != 0 && !req->work_scheduled) {
    remove_wait_queue(&req->wait);
    RemoveActive(iocb);
    iocb->ki_res.res = mask;
    iocb_put(iocb);
    return 1;
  }
  if (req->work_scheduled) {
    req->work_need_resched = true;
  } else {
    schedule_work(&req->work);
    req->work_scheduled = true;
  }
  return 1;
}

struct aio_poll_table {
  poll_table_struct pt;
  aio_kiocb* iocb;
  bool queued;
  int error;
};

void aio_poll_queue_proc(file*, wait_queue_head* head, poll_table_struct* pt) {
  aio_poll_table* const apt = container_of(pt, aio_poll_table, pt);
  if (apt->queued) {
    apt->error = -EINVAL;  // a file with several wait queues
    return;
  }
  apt->queued = true;
  apt->error = 0;
  add_wait_queue(*head, &apt->iocb->poll.wait);
}

int aio_poll(aio_kiocb* iocb, const struct iocb& user) {
  if (static_cast<uint16_t>(user.aio_buf) != user.aio_buf) return -EINVAL;
  if (user.aio_offset != 0 || user.aio_nbytes != 0 || user.aio_rw_flags != 0) return -EINVAL;

  poll_iocb& req = iocb->poll;
  INIT_WORK(&req.work, aio_poll_complete_work, "aio_poll_complete_work");
  req.events = static_cast<__poll_t>(user.aio_buf) | POLLERR | POLLHUP;
  req.cancelled = req.work_scheduled = req.work_need_resched = false;
  req.wait.func = aio_poll_wake;
  iocb->ki_cancel = aio_poll_cancel;
  iocb->rw.ki_waits_for = nullptr;  // whatever makes the file ready, which may be the client itself
  if (fault_armed(FaultSite::kComplete) && FaultTakesOver(iocb, user)) [[unlikely]]
    return 0;

  aio_poll_table apt = {};
  apt.pt._qproc = aio_poll_queue_proc;
  apt.pt._key = req.events;
  apt.iocb = iocb;
  apt.error = -EINVAL;  // as for a file that does not announce anything

  const __poll_t mask = vfs_poll(iocb->rw.ki_filp, &apt.pt) & req.events;
  if (mask != 0 || apt.error != 0) {
    remove_wait_queue(&req.wait);
  } else {
    AddActive(iocb);
  }
  if (mask == 0) return apt.error;
  iocb->ki_res.res = mask;
  iocb_put(iocb);
  return 0;
}

// ---- io_submit
// -----------------------------------------------------------------------------------------------------------

int SubmitPrepared(const iocb& iocb, struct iocb* user_iocb, aio_kiocb* req) {
  files_struct& files = *current().files;
  req->rw.ki_filp = files.fget(static_cast<int>(iocb.aio_fildes));
  if (req->rw.ki_filp == nullptr) return -EBADF;
  if ((iocb.aio_flags & IOCB_FLAG_RESFD) != 0) {
    if (const int error = files.eventfd_ctx_fdget(static_cast<int>(iocb.aio_resfd), &req->ki_eventfd); error != 0)
      return error;
  }
  if (put_user(KIOCB_KEY, UserKey(user_iocb)) != 0) return -EFAULT;

  req->ki_res = {.data = iocb.aio_data, .obj = reinterpret_cast<uint64_t>(user_iocb), .res = 0, .res2 = 0};
  TRACE_EVENT("io_submit_one", {{"ctx", req->ki_ctx->trace_id},
                                {"req", req->rw.ki_id},
                                {"iocb", current_kernel().trace.NameOfIocb(req->ki_res.obj)},
                                {"op", AioOpcodeName(iocb.aio_lio_opcode)},
                                {"file", req->rw.ki_filp->f_id},
                                {"pos", iocb.aio_offset},
                                {"bytes", iocb.aio_nbytes}});
  switch (iocb.aio_lio_opcode) {
    case IOCB_CMD_PREAD:
      return aio_rw(req, iocb, /*write=*/false, /*vectored=*/false);
    case IOCB_CMD_PWRITE:
      return aio_rw(req, iocb, /*write=*/true, /*vectored=*/false);
    case IOCB_CMD_PREADV:
      return aio_rw(req, iocb, /*write=*/false, /*vectored=*/true);
    case IOCB_CMD_PWRITEV:
      return aio_rw(req, iocb, /*write=*/true, /*vectored=*/true);
    case IOCB_CMD_FSYNC:
      return aio_fsync(req, iocb, /*datasync=*/false);
    case IOCB_CMD_FDSYNC:
      return aio_fsync(req, iocb, /*datasync=*/true);
    case IOCB_CMD_POLL:
      return aio_poll(req, iocb);
    default:
      return -EINVAL;
  }
}

// Whether some of the context's slots are taken: by requests in flight, or by events that nobody has reaped.
bool HasOutstanding(const kioctx& ctx) {
  if (ctx.nr_reqs > 0) return true;
  const unsigned head = ReadShared(ctx.ring->head);  // anything that the client writes there
  return (head < ctx.nr_events ? head : head % ctx.nr_events) != ctx.tail;
}

// 0, or the -errno with which an iocb is refused before it is anything.
int FaultAtSubmitOne(kioctx& ctx, const iocb& user) {
  FaultPoint point;
  point.op = user.aio_lio_opcode;
  point.fd = static_cast<int>(user.aio_fildes);
  point.off = user.aio_offset;
  point.size = user.aio_nbytes;
  point.ctx = ctx.trace_id;
  point.others = HasOutstanding(ctx);
  point.rwf = user.aio_rw_flags;
  file* const filp = current().files->fget(point.fd);
  if (filp != nullptr) {
    point.path = filp->f_name;
    point.open = filp->f_id;
  }
  const Fault fault = ask_fault(FaultSite::kSubmitOne, kAllFaultKinds, point);
  if (filp != nullptr) fput(filp);
  if (!fault) return 0;
  if (fault.error == EAGAIN) {
    const char* const why = fault.kind == FaultKind::kNowaitBlock ? "RWF_NOWAIT at submission" : "no slot in the ring";
    TRACE_EVENT("aio_get_req", {{"ctx", ctx.trace_id}, {"ret", "-EAGAIN"}, {"why", why}});
  }
  CountRefusal(&ctx, user.aio_lio_opcode, -fault.error);
  return -fault.error;
}

int io_submit_one(kioctx* ctx, iocb* user_iocb) {
  iocb iocb;
  if (copy_from_user(&iocb, user_iocb, sizeof(iocb)) != 0) return -EFAULT;
  if (iocb.aio_reserved2 != 0) return -EINVAL;
  if (static_cast<ssize_t>(iocb.aio_nbytes) < 0) return -EINVAL;

  current_kernel().executor.Charge(kSubmitOneNs);
  if (fault_armed(FaultSite::kSubmitOne)) [[unlikely]] {
    if (const int error = FaultAtSubmitOne(*ctx, iocb); error != 0) return error;
  }
  const char* why;
  aio_kiocb* const req = aio_get_req(ctx, &why);
  if (req == nullptr) {
    TRACE_EVENT("aio_get_req", {{"ctx", ctx->trace_id}, {"ret", "-EAGAIN"}, {"why", why}});
    CountRefusal(ctx, iocb.aio_lio_opcode, -EAGAIN);
    return -EAGAIN;
  }
  TRACE_EVENT("aio_get_req", {{"ctx", ctx->trace_id}, {"req", req->rw.ki_id}, {"reqs_available", ctx->reqs_available}});
  req->opcode = iocb.aio_lio_opcode;
  req->ki_retry = nullptr;

  const int error = SubmitPrepared(iocb, user_iocb, req);
  if (error == 0) {
    iocb_put(req);
    // What was kicked meanwhile. As in 3.4.
    aio_run_all_iocbs(ctx);
    return 0;
  }
  // Refused: nothing has happened, and there will be no event.
  CountRefusal(ctx, iocb.aio_lio_opcode, error);
  iocb_destroy(req);
  put_reqs_available(ctx, 1);
  return error;
}

int64_t TimespecToNs(const timespec& ts) {
  constexpr int64_t kNsPerSec = 1000000000;
  if (ts.tv_sec >= std::numeric_limits<int64_t>::max() / kNsPerSec) return kNoDeadline;
  // Neither a negative part nor one of a second or more is refused; a sum below zero waits for ever.
  return static_cast<int64_t>(static_cast<uint64_t>(ts.tv_sec) * kNsPerSec + static_cast<uint64_t>(ts.tv_nsec));
}

long do_io_getevents(aio_context_t ctx_id, long min_nr, long nr, io_event* events, const timespec* timeout,
                     FaultSite site) {
  const int64_t until_ns = timeout != nullptr ? TimespecToNs(*timeout) : kNoDeadline;
  kioctx* const ctx = lookup_ioctx(ctx_id);
  if (ctx == nullptr) return -EINVAL;
  long ret = 0;
  if (fault_armed(site)) [[unlikely]]
    ret = fault_syscall(site, ctx->trace_id, static_cast<uint64_t>(min_nr));
  if (ret == 0) {
    ret = min_nr <= nr && min_nr >= 0 ? read_events(ctx, min_nr, nr, events, until_ns, site) : -EINVAL;
  }
  put_ioctx(ctx);
  return ret;
}

}  // namespace

// ---- The system calls
// ----------------------------------------------------------------------------------------------------

mm_struct::~mm_struct() {
  for (aio_kiocb* req : kiocb_cachep) delete req;
}

std::string AioOpcodeName(uint16_t opcode) {
  switch (opcode) {
    case IOCB_CMD_PREAD:
      return "PREAD";
    case IOCB_CMD_PWRITE:
      return "PWRITE";
    case IOCB_CMD_FSYNC:
      return "FSYNC";
    case IOCB_CMD_FDSYNC:
      return "FDSYNC";
    case IOCB_CMD_POLL:
      return "POLL";
    case IOCB_CMD_PREADV:
      return "PREADV";
    case IOCB_CMD_PWRITEV:
      return "PWRITEV";
    default:
      return absl::StrCat("opcode<", opcode, ">");
  }
}

long sys_io_setup(unsigned nr_events, aio_context_t* ctxp) {
  aio_context_t ctx_id;
  if (get_user(ctx_id, ctxp) != 0) return -EFAULT;
  if (ctx_id != 0 || nr_events == 0) return -EINVAL;
  if (fault_armed(FaultSite::kSetup)) [[unlikely]] {
    const long error = fault_syscall(FaultSite::kSetup, /*ctx=*/0, nr_events);
    if (error == -EAGAIN) TraceNoRoom();
    if (error != 0) return error;
  }
  kioctx* ctx = nullptr;
  if (const int error = ioctx_alloc(nr_events, &ctx); error != 0) return error;
  TRACE_EVENT("aio_setup", {{"ctx", ctx->trace_id},
                            {"nr_events", nr_events},
                            {"ring_pages", ctx->nr_pages},
                            {"ring_nr", ctx->nr_events},
                            {"req_batch", ctx->req_batch}});
  long ret = 0;
  if (put_user(ctx->user_id, ctxp) != 0) {
    ret = -EFAULT;
    kill_ioctx(ctx);
    put_ioctx(ctx);  // the table's
  }
  put_ioctx(ctx);
  return ret;
}

long sys_io_destroy(aio_context_t ctx_id) {
  kioctx* const ctx = lookup_ioctx(ctx_id);
  if (ctx == nullptr) return -EINVAL;
  if (fault_armed(FaultSite::kDestroy)) [[unlikely]] {
    if (const long error = fault_syscall(FaultSite::kDestroy, ctx->trace_id, 0); error != 0)
      return put_ioctx(ctx), error;
  }
  TRACE_EVENT("kill_ioctx", {{"ctx", ctx->trace_id}, {"in_flight", ctx->nr_reqs}});
  long ret = -EINVAL;
  if (kill_ioctx(ctx)) {
    put_ioctx(ctx);  // the table's
    // Until then the kernel may still use the client's buffers.
    const SleepResult slept = wait_event(ctx->requests_done, [ctx] { return ctx->nr_reqs == 0; });
    ret = slept == SleepResult::kDone ? 0 : -EDEADLK;
  }
  put_ioctx(ctx);
  return ret;
}

long sys_io_submit(aio_context_t ctx_id, long nr, iocb** iocbpp) {
  if (nr < 0) return -EINVAL;
  kioctx* const ctx = lookup_ioctx(ctx_id);
  if (ctx == nullptr) return -EINVAL;
  nr = std::min<long>(nr, ctx->nr_events);
  if (fault_armed(FaultSite::kSubmit)) [[unlikely]] {
    const long error =
        fault_syscall(FaultSite::kSubmit, ctx->trace_id, static_cast<uint64_t>(nr), HasOutstanding(*ctx));
    if (error != 0) return put_ioctx(ctx), error;
    nr = fault_short_submit(ctx->trace_id, nr);
  }

  blk_plug plug;
  if (nr > kAioPlugThreshold) blk_start_plug(&plug);
  long ret = 0;
  long i = 0;
  for (; i < nr; ++i) {
    iocb* user_iocb;
    if (get_user(user_iocb, iocbpp + i) != 0) {
      ret = -EFAULT;
      break;
    }
    ret = io_submit_one(ctx, user_iocb);
    if (ret != 0) break;
  }
  if (nr > kAioPlugThreshold) blk_finish_plug(&plug);
  put_ioctx(ctx);
  return i > 0 ? i : ret;
}

long sys_io_cancel(aio_context_t ctx_id, iocb* user_iocb, io_event*) {
  uint32_t key;
  if (get_user(key, UserKey(user_iocb)) != 0) return -EFAULT;
  kioctx* const ctx = lookup_ioctx(ctx_id);
  if (ctx == nullptr) return -EINVAL;
  if (fault_armed(FaultSite::kCancel)) [[unlikely]] {
    if (const long error = fault_syscall(FaultSite::kCancel, ctx->trace_id, 0); error != 0)
      return put_ioctx(ctx), error;
  }
  long ret = -EINVAL;
  if (key == KIOCB_KEY) {
    const auto found = ctx->active_by_user_iocb.find(reinterpret_cast<uint64_t>(user_iocb));
    if (found != ctx->active_by_user_iocb.end()) {
      aio_kiocb* const req = list_entry(found->second, aio_kiocb, ki_same_iocb);
      TRACE_EVENT("io_cancel", {{"req", req->rw.ki_id}});
      RemoveActive(req);
      req->ki_cancel(req);
      ret = -EINPROGRESS;  // the event comes through the ring
    }
  }
  put_ioctx(ctx);
  return ret;
}

long sys_io_getevents(aio_context_t ctx_id, long min_nr, long nr, io_event* events, timespec* timeout) {
  timespec ts;
  if (timeout != nullptr && get_user(ts, timeout) != 0) return -EFAULT;
  const long ret =
      do_io_getevents(ctx_id, min_nr, nr, events, timeout != nullptr ? &ts : nullptr, FaultSite::kGetevents);
  return ret == 0 && current().sigpending ? -EINTR : ret;
}

long sys_io_pgetevents(aio_context_t ctx_id, long min_nr, long nr, io_event* events, timespec* timeout,
                       const aio_sigset* usig) {
  timespec ts;
  if (timeout != nullptr && get_user(ts, timeout) != 0) return -EFAULT;
  aio_sigset ksig = {nullptr, 0};
  if (usig != nullptr && copy_from_user(&ksig, usig, sizeof(ksig)) != 0) return -EFAULT;
  ScopedSigmask scoped_mask(ksig.sigmask, ksig.sigsetsize);
  if (scoped_mask.error() != 0) return scoped_mask.error();
  const long ret =
      do_io_getevents(ctx_id, min_nr, nr, events, timeout != nullptr ? &ts : nullptr, FaultSite::kPgetevents);
  return ret == 0 && scoped_mask.interrupted() ? -EINTR : ret;
}

void exit_aio(mm_struct& mm) {
  Executor& executor = current_kernel().executor;
  std::vector<kioctx*> killed;
  for (size_t id = 0; id < mm.ioctx_table.size(); ++id) {
    kioctx* const ctx = mm.ioctx_table[id];
    if (ctx == nullptr) continue;
    kill_ioctx(ctx);
    killed.push_back(ctx);
  }
  for (kioctx* const ctx : killed) {
    // What waits for something outside would wait for ever, as the exit of a real process does.
    while (ctx->nr_reqs > 0 && executor.has_events()) executor.AdvanceTo(executor.NextEventNs());
    put_ioctx(ctx);
  }
}

void DropRequests(mm_struct& mm) {
  std::vector<aio_kiocb*> left;
  for (const list_head* at = mm.contexts.next; at != &mm.contexts; at = at->next) {
    const kioctx* const ctx = list_entry(const_cast<list_head*>(at), kioctx, mm_contexts);
    for (const list_head* entry = ctx->reqs.next; entry != &ctx->reqs; entry = entry->next) {
      left.push_back(list_entry(const_cast<list_head*>(entry), aio_kiocb, ki_in_flight));
    }
  }
  // All are out of reach before the first one goes: a file that it closes may wake others.
  for (aio_kiocb* req : left) {
    RemoveActive(req);
    remove_wait_queue(&req->ki_wait);
    remove_wait_queue(&req->poll.wait);
    list_del_init(&req->ki_run_list);
    list_del_init(&req->fsync.work.entry);
    list_del_init(&req->poll.work.entry);
  }
  for (aio_kiocb* req : left) iocb_destroy(req);
}

std::string DescribeStuckRequests(const mm_struct& mm) {
  std::string stuck;
  for (const list_head* at = mm.contexts.next; at != &mm.contexts; at = at->next) {
    const kioctx* const ctx = list_entry(const_cast<list_head*>(at), kioctx, mm_contexts);
    for (const list_head* entry = ctx->reqs.next; entry != &ctx->reqs; entry = entry->next) {
      const aio_kiocb* const req = list_entry(const_cast<list_head*>(entry), aio_kiocb, ki_in_flight);
      // Under way on another thread, inside its io_submit.
      if (req->rw.ki_waits_for == nullptr || *req->rw.ki_waits_for == '\0') continue;
      absl::StrAppend(&stuck, "request ", req->rw.ki_id, " of context ", ctx->trace_id, " (",
                      AioOpcodeName(req->opcode), " of file ", req->rw.ki_filp->f_id, " at ", req->rw.ki_pos, ", ",
                      req->ki_iter.count, " bytes to go, attempt ", req->ki_attempts, ") waits for ",
                      req->rw.ki_waits_for, ", and nothing is under way that could wake it\n");
    }
  }
  return stuck;
}

void ForgetContexts(mm_struct& mm) {
  // Everywhere off the wait queues first: giving up a file wakes who waits for it.
  std::vector<aio_kiocb*> requests;
  for (list_head* at = mm.contexts.next; at != &mm.contexts; at = at->next) {
    kioctx* const ctx = list_entry(at, kioctx, mm_contexts);
    while (!list_empty(&ctx->reqs)) {
      aio_kiocb* const req = list_entry(ctx->reqs.next, aio_kiocb, ki_in_flight);
      list_del_init(&req->ki_in_flight);
      list_del_init(&req->ki_run_list);
      RemoveActive(req);
      remove_wait_queue(&req->ki_wait);
      remove_wait_queue(&req->poll.wait);
      requests.push_back(req);
    }
  }
  for (aio_kiocb* req : requests) {
    if (req->ki_eventfd != nullptr) req->ki_eventfd->put();
    req->ki_fate.reset();
    if (req->rw.ki_filp != nullptr) fput(req->rw.ki_filp);
    mm.kiocb_cachep.push_back(req);
  }
  // Not free_ioctx: the rings' memory is the parent's.
  while (!list_empty(&mm.contexts)) {
    kioctx* const ctx = list_entry(mm.contexts.next, kioctx, mm_contexts);
    list_del_init(&ctx->mm_contexts);
    delete ctx;
  }
  mm.ioctx_table.clear();
  mm.aio_nr = 0;
  mm.rings.AfterForkInChild();
}

}  // namespace aiolab
