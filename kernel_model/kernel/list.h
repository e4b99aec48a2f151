// Intrusive doubly linked lists: an object is on a list by a member, so moving it costs no allocation.
//
// Mirrors: include/linux/list.h, as far as the model needs it.
#ifndef KERNEL_MODEL_KERNEL_LIST_H_
#define KERNEL_MODEL_KERNEL_LIST_H_

#include <cstddef>

namespace aiolab {

// Both the head of a list and the member by which an object is on one. A head that points at itself is an empty list;
// so is a member that is on no list.
struct list_head {
  list_head* next = this;
  list_head* prev = this;

  list_head() = default;
  list_head(const list_head&) = delete;
  list_head& operator=(const list_head&) = delete;
};

inline bool list_empty(const list_head* head) { return head->next == head; }

inline void list_add_between(list_head* entry, list_head* prev, list_head* next) {
  entry->prev = prev;
  entry->next = next;
  prev->next = entry;
  next->prev = entry;
}

inline void list_add(list_head* entry, list_head* head) { list_add_between(entry, head, head->next); }
inline void list_add_tail(list_head* entry, list_head* head) { list_add_between(entry, head->prev, head); }

// Takes `entry` off its list and leaves it empty. Harmless on an entry that is on no list.
inline void list_del_init(list_head* entry) {
  entry->prev->next = entry->next;
  entry->next->prev = entry->prev;
  entry->next = entry->prev = entry;
}

// Moves everything on `from` to `to`, which must be empty.
inline void list_replace_init(list_head* from, list_head* to) {
  if (list_empty(from)) return;
  to->next = from->next;
  to->prev = from->prev;
  to->next->prev = to;
  to->prev->next = to;
  from->next = from->prev = from;
}

// The object that holds `entry` as its member at `member_offset` bytes.
template <typename T>
T* list_entry_at(list_head* entry, size_t member_offset) {
  return reinterpret_cast<T*>(reinterpret_cast<char*>(entry) - member_offset);
}

#define list_entry(ptr, type, member) (::aiolab::list_entry_at<type>(ptr, offsetof(type, member)))
#define container_of(ptr, type, member) (reinterpret_cast<type*>(reinterpret_cast<char*>(ptr) - offsetof(type, member)))

}  // namespace aiolab

#endif  // KERNEL_MODEL_KERNEL_LIST_H_
