// Disks, what is mounted on them, and what a loss of power does to all of it.
#include <errno.h>
#include <sys/sysmacros.h>

#include <cstdio>
#include <cstdlib>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "kernel_model/drivers/block/sim_disk.h"
#include "kernel_model/fs/block_dev.h"
#include "kernel_model/fs/file_table.h"
#include "kernel_model/fs/namespace.h"
#include "kernel_model/fs/simfs/simfs.h"
#include "kernel_model/kernel/fault_inject.h"
#include "kernel_model/machine.h"
#include "kernel_model/model_files.h"
#include "uapi/errno_name.h"

namespace aiolab {
namespace {

constexpr int kBlockMajor = 259;  // BLOCK_EXT_MAJOR, where NVMe disks are

// So many boots in a row may lose their power before they are done: a rule can strike while a file system recovers.
constexpr int kBootsInARowMax = 100;

mapping_limits LimitsOf(const SimDisk& disk) {
  const SimDiskParameters& parameters = disk.parameters();
  mapping_limits limits;
  limits.logical_block_size = parameters.logical_block_size;
  limits.write_cache = parameters.cache_bytes > 0;
  limits.fua = parameters.fua;
  if (parameters.atomic_write_unit > parameters.logical_block_size) {
    limits.atomic_write_unit_min = parameters.logical_block_size;
    limits.atomic_write_unit_max = parameters.atomic_write_unit;
  }
  return limits;
}

}  // namespace

SimDisk& Machine::AddDisk(const SimDiskParameters& parameters) {
  disks_.push_back(std::make_unique<SimDisk>(kernel_, parameters));
  disks_.back()->bd_name = absl::StrCat(kBlockMajor, ",", disks_.size());
  return *disks_.back();
}

SimDisk* Machine::DiskOf(absl::string_view path) {
  for (const SimfsMount& mount : simfs_mounts_) {
    if (mount.options.path == path) return mount.disk;
  }
  return nullptr;
}

std::string Machine::SavedDisks(absl::string_view path) const {
  std::string saved;
  for (const SimfsMount& mount : simfs_mounts_) {
    if (mount.options.path != path) continue;
    mount.disk->Save(&saved);
    if (mount.device != nullptr) mount.device->Save(&saved);
  }
  return saved;
}

absl::Status Machine::MountSimfs(const SimfsOptions& options) {
  const absl::StatusOr<SimDiskParameters> disk = ParseSimDisk(options.disk);
  if (!disk.ok()) return disk.status();
  simfs::ErrorModel error_model;
  if (!simfs::FindErrorModel(options.error_model, &error_model)) {
    return absl::InvalidArgumentError(absl::StrCat("unknown error model \"", options.error_model,
                                                   "\"; there are ext4-ordered, ext4-data, xfs and btrfs"));
  }
  simfs::MkfsOptions mkfs_options;
  mkfs_options.disk_bytes = disk->size_bytes;
  mkfs_options.label = options.path;
  SimfsMount mount = {options, &AddDisk(*disk), options.device_node ? &AddDisk(*disk) : nullptr};
  mount.disk->set_observer(options.observer);
  if (mount.device != nullptr) mount.device->set_observer(options.observer, /*number=*/1);
  Entry entry(*this, nullptr, /*cost_ns=*/0);
  if (options.saved_disks != nullptr) {
    absl::string_view saved = *options.saved_disks;
    if (!mount.disk->Restore(&saved) || (mount.device != nullptr && !mount.device->Restore(&saved))) {
      return absl::InvalidArgumentError(absl::StrCat("the saved disks of ", options.path, " are not whole"));
    }
    mount.options.saved_disks = nullptr;
  } else if (options.contents != nullptr) {
    mount.disk->Load(*options.contents, 0);
    if (mount.device != nullptr) mount.device->Load(*options.contents, DiskObserver::kSectorsPerDisk);
    mount.options.contents = nullptr;  // theirs to keep only until now
  } else {
    std::string problem;
    if (const int error = simfs::mkfs(*mount.disk, mkfs_options, &problem); error != 0) {
      return absl::InvalidArgumentError(problem.empty() ? ErrnoDescription(-error) : problem);
    }
  }
  if (const absl::Status mounted = MountSimfsInside(mount); !mounted.ok()) return mounted;
  simfs_mounts_.push_back(std::move(mount));
  return absl::OkStatus();
}

absl::Status Machine::MountSimfsInside(const SimfsMount& mount) {
  std::unique_ptr<super_block> sb;
  simfs::MountOptions options;
  options.limits = LimitsOf(*mount.disk);
  BUG_ON(!simfs::FindErrorModel(mount.options.error_model, &options.error_model));
  std::string problem;
  if (const int error = simfs::mount(*mount.disk, options, &sb, &problem); error != 0) {
    return absl::FailedPreconditionError(absl::StrCat("cannot mount simfs on ", mount.options.path, ": ",
                                                      problem.empty() ? ErrnoDescription(-error) : problem));
  }
  if (mount.device != nullptr) {
    BlockDevFile device;
    device.size_bytes = mount.device->parameters().size_bytes / kPageSize * kPageSize;
    device.limits = LimitsOf(*mount.device);
    device.physical_block_size = mount.device->parameters().physical_block_size;
    device.rdev = makedev(kBlockMajor, static_cast<unsigned>(disks_.size()));
    simfs::AddNode(*sb, kDeviceNode, MakeBlockDevice(*sb, *mount.device, device));
  }
  return MountInside(mount.options.path, std::move(sb));
}

// In whatever context: nothing here sleeps.
void Machine::LosePower(const PowerCutEvent& cut) {
  if (kernel_.power_off) return;
  TRACE_EVENT("power_cut", {{"event", executor_.events_run()}});
  std::vector<bio*> lost;
  const auto keep = [&lost](bio* dropped) { lost.push_back(dropped); };
  disk_->PowerCut(keep, cut.tear_bytes);
  for (const std::unique_ptr<SimDisk>& disk : disks_) disk->PowerCut(keep, cut.tear_bytes);
  kernel_.power_off = true;
  reboot_due_ = cut.reboots;
  if (options_.on_power_cut) options_.on_power_cut(cut.rule, cut.reboots);
  BUG_ON(host_files_ != nullptr);
  // The rest of the kernel unwinds as if every device had gone away: who waits for a transfer is told, and gives up.
  for (bio* const bio : lost) {
    bio->bi_status = -EIO;
    bio->bi_end_io(bio);
  }
  release_all_held();
  WakeEveryone();
}

void Machine::WakeEveryone() {
  for (const auto& [tid, task] : tasks_) executor_.Wake(task->sleeper);
}

void Machine::LosePowerNext(const Fault& fault) {
  if (Executor::armed(power_cut_)) return;
  power_cut_.machine = this;
  power_cut_.tear_bytes = static_cast<uint32_t>(fault.n);
  power_cut_.reboots = fault.kind == FaultKind::kReboot;
  power_cut_.rule = std::string(fault.rule);
  power_cut_.run = [](Executor::Event& event) {
    auto& cut = static_cast<PowerCutEvent&>(event);
    ScopedCurrent in_interrupt(cut.machine->kernel_.irq);
    cut.machine->LosePower(cut);
  };
  executor_.At(power_cut_, executor_.NowNs());
}

void Machine::PowerCut() {
  Entry entry(*this, nullptr, /*cost_ns=*/0);
  ScopedCurrent in_interrupt(kernel_.irq);
  LosePower({});
}

void Machine::CutPowerAtEvent(uint64_t event) {
  executor_.SetBreakpoint(event, [this] {
    ScopedCurrent in_interrupt(kernel_.irq);
    LosePower({});
  });
}

// What a power cut leaves of the kernel in this process's memory, or a machine that goes away.
void Machine::DropKernelState() {
  exit_aio(mm_);
  // Bios under way would call back into what is about to go.
  while (executor_.has_events()) executor_.AdvanceTo(executor_.NextEventNs());
  DropRequests(mm_);
  // What a rule said that no device ever ends.
  disk_->ForgetRequests(bio_put);
  for (const std::unique_ptr<SimDisk>& disk : disks_) disk->ForgetRequests(bio_put);
  files_.reset();
  fs_.reset();
  // Files that went have left work behind: blocks to free, for one.
  while (executor_.has_events()) executor_.AdvanceTo(executor_.NextEventNs());
}

absl::Status Machine::Reboot() {
  Entry entry(*this, nullptr, /*cost_ns=*/0);
  return RebootInside();
}

absl::Status Machine::RebootInside() {
  executor_.SetBreakpoint(0, nullptr);
  {
    ScopedCurrent in_interrupt(kernel_.irq);
    LosePower({});
  }
  DropKernelState();
  kernel_.power_off = reboot_due_ = false;
  MakeNamespace();
  files_ = std::make_unique<ModelFiles>();
  for (const auto& [tid, task] : tasks_) {
    task->files = files_.get();
    task->fs = fs_.get();
    task->sigpending = false;
  }
  TRACE_EVENT("boot", {});
  for (const SimfsMount& mount : simfs_mounts_) {
    if (const absl::Status mounted = MountSimfsInside(mount); !mounted.ok()) return mounted;
  }
  return absl::OkStatus();
}

// Outside of the executor's own waits: whoever is still in a call of the old boot runs what that needs to end.
void Machine::AwaitBoot(task_struct& task) {
  while (booting_ || (reboot_due_ && entries_now_ > 0)) {
    const uint32_t ticket = task.sleeper.Prepare();
    executor_.Leave();
    (void)task.sleeper.Sleep(ticket, /*timeout_ns=*/-1);
    executor_.Enter();
  }
}

void Machine::BootAgain() {
  booting_ = true;
  absl::Status booted;
  for (int boots = 0; reboot_due_ && boots < kBootsInARowMax; ++boots) booted = RebootInside();
  booting_ = false;
  WakeEveryone();
  if (booted.ok()) return;
  if (std::exchange(reboot_due_, false)) {
    booted = absl::ResourceExhaustedError(absl::StrCat("the power went in each of ", kBootsInARowMax,
                                                       " boots before the file systems were there; xN behind a "
                                                       "rule's when says how often it strikes at most"));
  } else if (std::exchange(kernel_.power_off, true)) {
    return;  // by a powercut meanwhile
  }
  if (options_.on_boot_failure) return options_.on_boot_failure(booted);
  fprintf(stderr, "aiolab: the machine does not boot after the fault rule %s: %s\n", power_cut_.rule.c_str(),
          booted.ToString().c_str());
  abort();
}

}  // namespace aiolab
