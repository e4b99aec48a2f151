#include "tools/preload/old_abi.h"

#include <elf.h>
#include <link.h>
#include <string.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <utility>

namespace aiolab::preload {
namespace {

constexpr char kOldVersion[] = "LIBAIO_0.1";
constexpr const char* kNames[] = {"io_cancel", "io_getevents"};

// Code of an object, and which of the old functions it uses, a bit each.
struct User {
  std::atomic<uintptr_t> begin, end;
  std::atomic<unsigned> functions;
};
constexpr int kUsersMax = 16;
User users[kUsersMax];
std::atomic<int> users_count{0};

struct Dynamic {
  explicit Dynamic(const dl_phdr_info& info) {
    for (int i = 0; i < info.dlpi_phnum; ++i) {
      if (info.dlpi_phdr[i].p_type == PT_DYNAMIC) {
        entries = reinterpret_cast<const Elf64_Dyn*>(info.dlpi_addr + info.dlpi_phdr[i].p_vaddr);
      }
    }
  }
  uint64_t Value(int64_t tag) const {
    for (const Elf64_Dyn* entry = entries; entry != nullptr && entry->d_tag != DT_NULL; ++entry) {
      if (entry->d_tag == tag) return entry->d_un.d_val;
    }
    return 0;
  }
  // The loader has made addresses of them; the vDSO's it leaves alone.
  template <typename T>
  const T* Table(int64_t tag, uint64_t base) const {
    const uint64_t value = Value(tag);
    return reinterpret_cast<const T*>(value == 0 || value >= base ? value : value + base);
  }
  const Elf64_Dyn* entries = nullptr;
};

// Whether version number `index` of the object is the old one.
bool IsOldVersion(const char* need, uint64_t count, const char* strings, unsigned index) {
  for (; need != nullptr && count > 0; --count) {
    const auto* library = reinterpret_cast<const Elf64_Verneed*>(need);
    const char* at = need + library->vn_aux;
    for (int i = 0; i < library->vn_cnt; ++i) {
      const auto* version = reinterpret_cast<const Elf64_Vernaux*>(at);
      if (version->vna_other == index) return strcmp(strings + version->vna_name, kOldVersion) == 0;
      at += version->vna_next;
    }
    need += library->vn_next;
  }
  return false;
}

unsigned OldFunctionsOf(const dl_phdr_info& info) {
  const Dynamic dynamic(info);
  const auto* symbols = dynamic.Table<Elf64_Sym>(DT_SYMTAB, info.dlpi_addr);
  const auto* strings = dynamic.Table<char>(DT_STRTAB, info.dlpi_addr);
  const auto* versions = dynamic.Table<Elf64_Half>(DT_VERSYM, info.dlpi_addr);
  const auto* need = dynamic.Table<char>(DT_VERNEED, info.dlpi_addr);
  if (symbols == nullptr || strings == nullptr || versions == nullptr || need == nullptr) return 0;
  unsigned functions = 0;
  const std::pair<int64_t, int64_t> tables[] = {{DT_JMPREL, DT_PLTRELSZ}, {DT_RELA, DT_RELASZ}};
  for (const auto& [table, size] : tables) {
    const auto* relocation = dynamic.Table<Elf64_Rela>(table, info.dlpi_addr);
    for (uint64_t i = 0; relocation != nullptr && i < dynamic.Value(size) / sizeof(Elf64_Rela); ++i) {
      const uint64_t symbol = ELF64_R_SYM(relocation[i].r_info);
      if (symbol == 0 || symbols[symbol].st_shndx != SHN_UNDEF) continue;
      for (unsigned function = 0; function < 2; ++function) {
        if (strcmp(strings + symbols[symbol].st_name, kNames[function]) == 0 &&
            IsOldVersion(need, dynamic.Value(DT_VERNEEDNUM), strings, versions[symbol] & 0x7fff)) {
          functions |= 1u << function;
        }
      }
    }
  }
  return functions;
}

int AddUser(dl_phdr_info* info, size_t, void*) {
  const unsigned functions = OldFunctionsOf(*info);
  const int count = users_count;
  if (functions == 0 || count == kUsersMax) return 0;
  uintptr_t begin = UINTPTR_MAX;
  uintptr_t end = 0;
  for (int i = 0; i < info->dlpi_phnum; ++i) {
    const Elf64_Phdr& segment = info->dlpi_phdr[i];
    if (segment.p_type != PT_LOAD || (segment.p_flags & PF_X) == 0) continue;
    begin = std::min(begin, info->dlpi_addr + segment.p_vaddr);
    end = std::max(end, info->dlpi_addr + segment.p_vaddr + segment.p_memsz);
  }
  for (int i = 0; i < count; ++i) {
    if (users[i].begin == begin) return 0;
  }
  users[count].begin = begin;
  users[count].end = end;
  users[count].functions = functions;
  users_count = count + 1;
  return 0;
}

}  // namespace

void FindUsersOfOldAbi() { dl_iterate_phdr(AddUser, nullptr); }

bool UsesOldAbi(const void* caller, OldFunction function) {
  const auto address = reinterpret_cast<uintptr_t>(caller);
  const int count = users_count.load(std::memory_order_relaxed);
  for (int i = 0; i < count; ++i) {
    if (address >= users[i].begin && address < users[i].end) {
      return (users[i].functions >> static_cast<unsigned>(function) & 1) != 0;
    }
  }
  return false;
}

}  // namespace aiolab::preload
