#include "tools/aiolab/wal/log_format.h"

#include <cstring>

#include "tools/aiolab/wal/crc32c.h"

namespace wal {
namespace {

// SplitMix64's step: any two sequence numbers give unrelated bytes.
uint64_t Mix(uint64_t value) {
  value += 0x9e3779b97f4a7c15u;
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9u;
  value = (value ^ (value >> 27)) * 0x94d049bb133111ebu;
  return value ^ (value >> 31);
}

uint32_t ChecksumOf(uint64_t sequence, const char* payload, size_t length) {
  return Crc32c(payload, length, Crc32c(&sequence, sizeof(sequence)));
}

}  // namespace

std::string PayloadOf(uint64_t sequence) {
  std::string payload;
  payload.reserve(kPayloadMax);
  const size_t length = Mix(sequence) % (kPayloadMax + 1);
  for (uint64_t word = Mix(~sequence); payload.size() < length; word = Mix(word)) {
    payload.append(reinterpret_cast<const char*>(&word), sizeof(word));
  }
  payload.resize(length);
  return payload;
}

std::string EncodeRecord(uint64_t sequence) {
  const std::string payload = PayloadOf(sequence);
  const RecordHeader header = {static_cast<uint32_t>(payload.size()),
                               ChecksumOf(sequence, payload.data(), payload.size()), sequence};
  return std::string(reinterpret_cast<const char*>(&header), sizeof(header)) + payload;
}

LogCheck CheckLog(const std::string& bytes) {
  LogCheck check;
  while (check.bytes < bytes.size()) {
    const uint64_t expected = check.records + 1;
    const std::string where = "record " + std::to_string(expected) + " at offset " + std::to_string(check.bytes) + ": ";
    const uint64_t left = bytes.size() - check.bytes;
    RecordHeader header;
    if (left < sizeof(header)) {
      check.problem = where + "the file ends inside its header";
      return check;
    }
    std::memcpy(&header, bytes.data() + check.bytes, sizeof(header));
    const char* payload = bytes.data() + check.bytes + sizeof(header);
    if (header.sequence != expected) {
      check.problem = where + "its sequence number is " + std::to_string(header.sequence);
      return check;
    }
    if (header.length > kPayloadMax) {
      check.problem = where + "its length is " + std::to_string(header.length) + ", more than a record can have";
      return check;
    }
    if (header.length > left - sizeof(header)) {
      check.problem = where + "the file ends inside its payload";
      return check;
    }
    if (header.crc32c != ChecksumOf(header.sequence, payload, header.length)) {
      check.problem = where + "its checksum is wrong";
      return check;
    }
    if (std::string(payload, header.length) != PayloadOf(expected)) {
      check.problem = where + "its checksum is right, but it is not this log's record";
      return check;
    }
    ++check.records;
    check.bytes += sizeof(header) + header.length;
  }
  return check;
}

}  // namespace wal
