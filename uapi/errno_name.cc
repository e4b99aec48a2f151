#include "uapi/errno_name.h"

#include <cerrno>
#include <cstring>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace aiolab {
namespace {

struct Entry {
  int error;
  const char* name;
  const char* message;  // null: the C library has one
};

constexpr Entry kErrnos[] = {
    {EPERM, "EPERM", nullptr},
    {ENOENT, "ENOENT", nullptr},
    {ESRCH, "ESRCH", nullptr},
    {EINTR, "EINTR", nullptr},
    {EIO, "EIO", nullptr},
    {ENXIO, "ENXIO", nullptr},
    {E2BIG, "E2BIG", nullptr},
    {ENOEXEC, "ENOEXEC", nullptr},
    {EBADF, "EBADF", nullptr},
    {ECHILD, "ECHILD", nullptr},
    {EAGAIN, "EAGAIN", nullptr},
    {ENOMEM, "ENOMEM", nullptr},
    {EACCES, "EACCES", nullptr},
    {EFAULT, "EFAULT", nullptr},
    {ENOTBLK, "ENOTBLK", nullptr},
    {EBUSY, "EBUSY", nullptr},
    {EEXIST, "EEXIST", nullptr},
    {EXDEV, "EXDEV", nullptr},
    {ENODEV, "ENODEV", nullptr},
    {ENOTDIR, "ENOTDIR", nullptr},
    {EISDIR, "EISDIR", nullptr},
    {EINVAL, "EINVAL", nullptr},
    {ENFILE, "ENFILE", nullptr},
    {EMFILE, "EMFILE", nullptr},
    {ENOTTY, "ENOTTY", nullptr},
    {ETXTBSY, "ETXTBSY", nullptr},
    {EFBIG, "EFBIG", nullptr},
    {ENOSPC, "ENOSPC", nullptr},
    {ESPIPE, "ESPIPE", nullptr},
    {EROFS, "EROFS", nullptr},
    {EMLINK, "EMLINK", nullptr},
    {EPIPE, "EPIPE", nullptr},
    {EDOM, "EDOM", nullptr},
    {ERANGE, "ERANGE", nullptr},
    {EDEADLK, "EDEADLK", nullptr},
    {ENAMETOOLONG, "ENAMETOOLONG", nullptr},
    {ENOLCK, "ENOLCK", nullptr},
    {ENOSYS, "ENOSYS", nullptr},
    {ENOTEMPTY, "ENOTEMPTY", nullptr},
    {ELOOP, "ELOOP", nullptr},
    {ENOMSG, "ENOMSG", nullptr},
    {EIDRM, "EIDRM", nullptr},
    {ECHRNG, "ECHRNG", nullptr},
    {EL2NSYNC, "EL2NSYNC", nullptr},
    {EL3HLT, "EL3HLT", nullptr},
    {EL3RST, "EL3RST", nullptr},
    {ELNRNG, "ELNRNG", nullptr},
    {EUNATCH, "EUNATCH", nullptr},
    {ENOCSI, "ENOCSI", nullptr},
    {EL2HLT, "EL2HLT", nullptr},
    {EBADE, "EBADE", nullptr},
    {EBADR, "EBADR", nullptr},
    {EXFULL, "EXFULL", nullptr},
    {ENOANO, "ENOANO", nullptr},
    {EBADRQC, "EBADRQC", nullptr},
    {EBADSLT, "EBADSLT", nullptr},
    {EBFONT, "EBFONT", nullptr},
    {ENOSTR, "ENOSTR", nullptr},
    {ENODATA, "ENODATA", nullptr},
    {ETIME, "ETIME", nullptr},
    {ENOSR, "ENOSR", nullptr},
    {ENONET, "ENONET", nullptr},
    {ENOPKG, "ENOPKG", nullptr},
    {EREMOTE, "EREMOTE", nullptr},
    {ENOLINK, "ENOLINK", nullptr},
    {EADV, "EADV", nullptr},
    {ESRMNT, "ESRMNT", nullptr},
    {ECOMM, "ECOMM", nullptr},
    {EPROTO, "EPROTO", nullptr},
    {EMULTIHOP, "EMULTIHOP", nullptr},
    {EDOTDOT, "EDOTDOT", nullptr},
    {EBADMSG, "EBADMSG", nullptr},
    {EOVERFLOW, "EOVERFLOW", nullptr},
    {ENOTUNIQ, "ENOTUNIQ", nullptr},
    {EBADFD, "EBADFD", nullptr},
    {EREMCHG, "EREMCHG", nullptr},
    {ELIBACC, "ELIBACC", nullptr},
    {ELIBBAD, "ELIBBAD", nullptr},
    {ELIBSCN, "ELIBSCN", nullptr},
    {ELIBMAX, "ELIBMAX", nullptr},
    {ELIBEXEC, "ELIBEXEC", nullptr},
    {EILSEQ, "EILSEQ", nullptr},
    {ERESTART, "ERESTART", nullptr},
    {ESTRPIPE, "ESTRPIPE", nullptr},
    {EUSERS, "EUSERS", nullptr},
    {ENOTSOCK, "ENOTSOCK", nullptr},
    {EDESTADDRREQ, "EDESTADDRREQ", nullptr},
    {EMSGSIZE, "EMSGSIZE", nullptr},
    {EPROTOTYPE, "EPROTOTYPE", nullptr},
    {ENOPROTOOPT, "ENOPROTOOPT", nullptr},
    {EPROTONOSUPPORT, "EPROTONOSUPPORT", nullptr},
    {ESOCKTNOSUPPORT, "ESOCKTNOSUPPORT", nullptr},
    {EOPNOTSUPP, "EOPNOTSUPP", nullptr},
    {EPFNOSUPPORT, "EPFNOSUPPORT", nullptr},
    {EAFNOSUPPORT, "EAFNOSUPPORT", nullptr},
    {EADDRINUSE, "EADDRINUSE", nullptr},
    {EADDRNOTAVAIL, "EADDRNOTAVAIL", nullptr},
    {ENETDOWN, "ENETDOWN", nullptr},
    {ENETUNREACH, "ENETUNREACH", nullptr},
    {ENETRESET, "ENETRESET", nullptr},
    {ECONNABORTED, "ECONNABORTED", nullptr},
    {ECONNRESET, "ECONNRESET", nullptr},
    {ENOBUFS, "ENOBUFS", nullptr},
    {EISCONN, "EISCONN", nullptr},
    {ENOTCONN, "ENOTCONN", nullptr},
    {ESHUTDOWN, "ESHUTDOWN", nullptr},
    {ETOOMANYREFS, "ETOOMANYREFS", nullptr},
    {ETIMEDOUT, "ETIMEDOUT", nullptr},
    {ECONNREFUSED, "ECONNREFUSED", nullptr},
    {EHOSTDOWN, "EHOSTDOWN", nullptr},
    {EHOSTUNREACH, "EHOSTUNREACH", nullptr},
    {EALREADY, "EALREADY", nullptr},
    {EINPROGRESS, "EINPROGRESS", nullptr},
    {ESTALE, "ESTALE", nullptr},
    {EUCLEAN, "EUCLEAN", nullptr},
    {ENOTNAM, "ENOTNAM", nullptr},
    {ENAVAIL, "ENAVAIL", nullptr},
    {EISNAM, "EISNAM", nullptr},
    {EREMOTEIO, "EREMOTEIO", nullptr},
    {EDQUOT, "EDQUOT", nullptr},
    {ENOMEDIUM, "ENOMEDIUM", nullptr},
    {EMEDIUMTYPE, "EMEDIUMTYPE", nullptr},
    {ECANCELED, "ECANCELED", nullptr},
    {ENOKEY, "ENOKEY", nullptr},
    {EKEYEXPIRED, "EKEYEXPIRED", nullptr},
    {EKEYREVOKED, "EKEYREVOKED", nullptr},
    {EKEYREJECTED, "EKEYREJECTED", nullptr},
    {EOWNERDEAD, "EOWNERDEAD", nullptr},
    {ENOTRECOVERABLE, "ENOTRECOVERABLE", nullptr},
    {ERFKILL, "ERFKILL", nullptr},
    {EHWPOISON, "EHWPOISON", nullptr},
    {134, "EFTYPE", "the file is of the wrong type for this"},  // younger than most C libraries
    {ERESTARTSYS, "ERESTARTSYS", "restart the system call after a signal handler that asks for it"},
    {ERESTARTNOINTR, "ERESTARTNOINTR", "restart the system call after any signal handler"},
    {ERESTARTNOHAND, "ERESTARTNOHAND", "restart the system call unless a signal handler ran"},
    {ENOIOCTLCMD, "ENOIOCTLCMD", "no such ioctl command here"},
    {ERESTART_RESTARTBLOCK, "ERESTART_RESTARTBLOCK", "restart through sys_restart_syscall"},
    {EIOCBQUEUED, "EIOCBQUEUED", "the request is queued and completes later"},
    {EIOCBRETRY, "EIOCBRETRY", "the request waits for a kick and will be retried"},
};

const Entry* Find(int error) {
  for (const Entry& entry : kErrnos) {
    if (entry.error == error) return &entry;
  }
  return nullptr;
}

}  // namespace

std::string ErrnoName(int error) {
  if (error == 0) return "0";
  const Entry* entry = Find(error);
  return entry != nullptr ? std::string(entry->name) : absl::StrCat("E<", error, ">");
}

std::string ErrnoDescription(int error) {
  const Entry* entry = Find(error);
  if (entry == nullptr) return absl::StrCat(ErrnoName(error), " (no such error number)");
  // strerrordesc_np neither allocates nor translates, so the text is the same under every locale.
  const char* message = entry->message != nullptr ? entry->message : strerrordesc_np(error);
  return absl::StrCat(entry->name, " (", message != nullptr ? message : "unknown", ")");
}

std::string ResultName(long result) {
  // -4095..-1 is the kernel's own range for errors in a return value.
  if (result >= 0 || result < -4095) return absl::StrCat(result);
  return absl::StrCat("-", ErrnoName(static_cast<int>(-result)));
}

int ErrnoFromName(absl::string_view name) {
  for (const Entry& entry : kErrnos) {
    if (absl::EqualsIgnoreCase(entry.name, name)) return entry.error;
  }
  return 0;
}

}  // namespace aiolab
