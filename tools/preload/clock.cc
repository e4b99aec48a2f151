#include "tools/preload/clock.h"

#include <asm/prctl.h>
#include <cpuid.h>
#include <elf.h>
#include <errno.h>
#include <linux/prctl.h>
#include <sys/auxv.h>
#include <sys/time.h>
#include <sys/times.h>
#include <ucontext.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstring>

#include "kernel_model/machine.h"
#include "tools/preload/process.h"
#include "tools/preload/real_functions.h"
#include "tools/preload/signals.h"
#include "tools/preload/thread_state.h"
#include "uapi/raw_syscall.h"

namespace aiolab::preload {
namespace {

constexpr int64_t kLookCostNs = 100;

// 2025-01-01T00:00:00Z, and an uptime that is not 0, which some clients take for "never".
constexpr int64_t kRealtimeStartNs = 1'735'689'600 * kNanosecondsPerSecond;
constexpr int64_t kMonotonicStartNs = 1'000 * kNanosecondsPerSecond;
constexpr int64_t kTaiOffsetNs = 37 * kNanosecondsPerSecond;

// The clock of a process without a machine and with one thread.
std::atomic<int64_t> without_machine_ns{0};

// The clock of threads that are no clients: the real one plus this.
std::atomic<int64_t> outside_shift_ns{0};

int64_t OutsideNowNs(int64_t at_least_ns) {
  const int64_t real_ns = HostMonotonicNs();
  int64_t shift_ns = outside_shift_ns.load();
  while (real_ns + shift_ns < at_least_ns) {
    if (outside_shift_ns.compare_exchange_weak(shift_ns, at_least_ns - real_ns)) return at_least_ns;
  }
  return real_ns + shift_ns;
}

void RestartClockAt(int64_t now_ns) { outside_shift_ns.store(now_ns - HostMonotonicNs()); }

}  // namespace

int64_t ClientNowNs(bool look) {
  ThreadState& me = Me();
  Machine* machine = TheMachine();
  int64_t now_ns;
  // A look from inside the model comes from the client's own malloc.
  if (ThreadInModel() || Machine::InsideModel()) {
    const int64_t model_ns = look && !Machine::InsideModel() ? machine->LookAtClock() : machine->NowNs();
    now_ns = MachineStartNs() + model_ns + me.clock_offset_ns;
    if (now_ns < me.last_clock_ns) {
      me.clock_offset_ns += me.last_clock_ns - now_ns;
      now_ns = me.last_clock_ns;
    }
  } else if (machine == nullptr && SingleThreaded()) {
    now_ns = without_machine_ns.fetch_add(look ? kLookCostNs : 0) + (look ? kLookCostNs : 0);
  } else {
    now_ns = OutsideNowNs(std::max(
        me.last_clock_ns, machine == nullptr ? without_machine_ns.load() : MachineStartNs() + machine->NowNs()));
  }
  me.last_clock_ns = std::max(me.last_clock_ns, now_ns);
  return me.last_clock_ns;
}

void AdvanceWithoutMachine(int64_t ns) { without_machine_ns.fetch_add(ns); }
int64_t TimeWithoutMachineNs() { return without_machine_ns.load(); }

void StartOutsideClock() {
  Machine* machine = TheMachine();
  RestartClockAt(machine == nullptr ? without_machine_ns.load() : MachineStartNs() + machine->NowNs());
}

void RestartClock(int64_t now_ns) {
  without_machine_ns.store(now_ns);
  RestartClockAt(now_ns);
}

int64_t ClockShowsNs(clockid_t clock, int64_t now_ns) {
  switch (clock) {
    case CLOCK_REALTIME:
    case CLOCK_REALTIME_COARSE:
    case CLOCK_REALTIME_ALARM:
      return kRealtimeStartNs + now_ns;
    case CLOCK_TAI:
      return kRealtimeStartNs + kTaiOffsetNs + now_ns;
    case CLOCK_MONOTONIC:
    case CLOCK_MONOTONIC_RAW:
    case CLOCK_MONOTONIC_COARSE:
    case CLOCK_BOOTTIME:
    case CLOCK_BOOTTIME_ALARM:
      return kMonotonicStartNs + now_ns;
    case CLOCK_PROCESS_CPUTIME_ID:
    case CLOCK_THREAD_CPUTIME_ID:
      return now_ns;
    default:
      return -1;
  }
}

timespec RealMoment(clockid_t clock, const timespec& client_moment) {
  const int64_t shows_ns = ClockShowsNs(clock, ClientNowNs(/*look=*/false));
  timespec real_now = {};
  if (shows_ns < 0 || client_moment.tv_sec < 0 || RawSyscall(__NR_clock_gettime, clock, &real_now) != 0) {
    return client_moment;
  }
  const int64_t away_ns = std::min(ToNs(client_moment) - shows_ns, 3'000'000'000 * kNanosecondsPerSecond);
  return ToTimespec(std::max<int64_t>(ToNs(real_now) + away_ns, 1));
}

namespace {

bool InVdso(uint64_t address) {
  static const uint64_t begin = getauxval(AT_SYSINFO_EHDR);
  static const uint64_t end = [] {
    uint64_t size = 0;
    if (begin == 0) return uint64_t{0};
    const auto* header = reinterpret_cast<const Elf64_Ehdr*>(begin);
    const auto* segments = reinterpret_cast<const Elf64_Phdr*>(begin + header->e_phoff);
    for (int i = 0; i < header->e_phnum; ++i) {
      if (segments[i].p_type == PT_LOAD) size = std::max(size, segments[i].p_vaddr + segments[i].p_memsz);
    }
    return begin + size;
  }();
  return address >= begin && address < end;
}

// The C library's own looks at the clock go through the vDSO, which wants the counter that the kernel calibrated.
uint64_t RealTimeStampCounter() {
  TrapTimeStampCounter(false);
  const uint64_t ticks = __builtin_ia32_rdtsc();
  TrapTimeStampCounter(true);
  return ticks;
}

void SetCpuidWorks(bool works) { RawSyscall(__NR_arch_prctl, ARCH_SET_CPUID, works ? 1 : 0); }

void EmulateCpuid(greg_t* registers) {
  const auto leaf = static_cast<unsigned>(registers[REG_RAX]);
  unsigned eax, ebx, ecx, edx;
  SetCpuidWorks(true);
  __cpuid_count(leaf, static_cast<unsigned>(registers[REG_RCX]), eax, ebx, ecx, edx);
  SetCpuidWorks(false);
  constexpr unsigned kPowerManagementLeaf = 0x80000007;
  constexpr unsigned kInvariantTsc = 1u << 8;
  if (leaf == kPowerManagementLeaf) edx &= ~kInvariantTsc;
  registers[REG_RAX] = eax;
  registers[REG_RBX] = ebx;
  registers[REG_RCX] = ecx;
  registers[REG_RDX] = edx;
}

// Whether the handler that got `context` runs on the thread's alternate stack, which the kernel names there; a stack
// that is none has no size.
bool OnAlternateStack(const ucontext_t& context) {
  const auto here = reinterpret_cast<uintptr_t>(__builtin_frame_address(0));
  const auto begin = reinterpret_cast<uintptr_t>(context.uc_stack.ss_sp);
  return here - begin < context.uc_stack.ss_size;
}

}  // namespace

void TrapTimeStampCounter(bool trap) { RawSyscall(__NR_prctl, PR_SET_TSC, trap ? PR_TSC_SIGSEGV : PR_TSC_ENABLE); }

void TrapCpuid() { SetCpuidWorks(false); }

bool EmulateInstruction(void* ucontext) {
  auto& context = *static_cast<ucontext_t*>(ucontext);
  greg_t* const registers = context.uc_mcontext.gregs;
  const auto rip = static_cast<uint64_t>(registers[REG_RIP]);
  // A fault of this kind comes from an instruction that was fetched, so it can be read; what lies behind it may not be.
  const auto* const code = reinterpret_cast<const unsigned char*>(rip);
  if (code[0] == 0x0f && code[1] == 0xa2) {
    EmulateCpuid(registers);
    registers[REG_RIP] += 2;
    return true;
  }
  const bool rdtsc = code[0] == 0x0f && code[1] == 0x31;
  const bool rdtscp = code[0] == 0x0f && code[1] == 0x01 && code[2] == 0xf9;
  if (!rdtsc && !rdtscp) return false;
  uint64_t ticks;
  if (InVdso(rip)) {
    ticks = RealTimeStampCounter();
  } else {
    // The client's alternate stack is too small for the model.
    ticks = static_cast<uint64_t>(ClientNowNs(/*look=*/!OnAlternateStack(context)) + kMonotonicStartNs);
  }
  registers[REG_RAX] = static_cast<greg_t>(ticks & 0xffffffff);
  registers[REG_RDX] = static_cast<greg_t>(ticks >> 32);
  if (rdtscp) registers[REG_RCX] = 0;
  registers[REG_RIP] += rdtsc ? 2 : 3;
  return true;
}

ScopedRealTimeStampCounter::ScopedRealTimeStampCounter() : trapped_(VirtualClock()) {
  if (trapped_) TrapTimeStampCounter(false);
}

ScopedRealTimeStampCounter::~ScopedRealTimeStampCounter() {
  if (trapped_) TrapTimeStampCounter(true);
}

namespace {

RealFunction<int(timeval*, void*)> real_gettimeofday("gettimeofday");
RealFunction<time_t(time_t*)> real_time("time");
RealFunction<clock_t()> real_clock("clock");
RealFunction<clock_t(tms*)> real_times("times");
RealFunction<int(timespec*, int)> real_timespec_get("timespec_get");
RealFunction<int(clockid_t, timespec*)> real_clock_gettime("clock_gettime");

int64_t LookAtRealtimeNs() {
  const ScopedSignalDelivery signals;
  return kRealtimeStartNs + ClientNowNs(/*look=*/true);
}

}  // namespace
}  // namespace aiolab::preload

using namespace aiolab::preload;  // NOLINT: the functions below are the client's door to the ones above

INTERPOSE(int, clock_gettime, (clockid_t clock, timespec* time)) {
  if (!VirtualClock() || ClockShowsNs(clock, 0) < 0) return real_clock_gettime(clock, time);
  const ScopedSignalDelivery signals;
  *time = ToTimespec(ClockShowsNs(clock, ClientNowNs(/*look=*/true)));
  return 0;
}

INTERPOSE(int, gettimeofday, (timeval * time, void* zone)) {
  if (!VirtualClock()) return real_gettimeofday(time, zone);
  const int64_t now_ns = LookAtRealtimeNs();
  if (time != nullptr) *time = {now_ns / kNanosecondsPerSecond, now_ns % kNanosecondsPerSecond / 1000};
  if (zone != nullptr) memset(zone, 0, sizeof(struct timezone));
  return 0;
}

INTERPOSE(time_t, time, (time_t * time)) {
  if (!VirtualClock()) return real_time(time);
  const time_t now = LookAtRealtimeNs() / kNanosecondsPerSecond;
  if (time != nullptr) *time = now;
  return now;
}

INTERPOSE(int, timespec_get, (timespec * time, int base)) {
  if (!VirtualClock() || base != TIME_UTC) return real_timespec_get(time, base);
  *time = ToTimespec(LookAtRealtimeNs());
  return base;
}

INTERPOSE(clock_t, clock, ()) {
  if (!VirtualClock()) return real_clock();
  const ScopedSignalDelivery signals;
  return ClientNowNs(/*look=*/true) / (kNanosecondsPerSecond / CLOCKS_PER_SEC);
}

INTERPOSE(clock_t, times, (tms * times)) {
  if (!VirtualClock()) return real_times(times);
  const ScopedSignalDelivery signals;
  static const int64_t tick_ns = kNanosecondsPerSecond / sysconf(_SC_CLK_TCK);
  const int64_t now_ns = ClientNowNs(/*look=*/true);
  if (times != nullptr) *times = {now_ns / tick_ns, 0, 0, 0};
  return (kMonotonicStartNs + now_ns) / tick_ns;
}
