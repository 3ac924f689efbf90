// Compiled pipelines on disk.
#include "metal/archive.h"

#include "metal/failures.h"

#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <filesystem>

namespace metalwright::metal {

namespace {

Owned<id<MTLBinaryArchive>> open_archive(id<MTLDevice> device, const std::string& path,
                                         NSError** error) {
  auto descriptor =
      Owned<MTLBinaryArchiveDescriptor*>::adopt([[MTLBinaryArchiveDescriptor alloc] init]);
  if (!path.empty())
    descriptor.get().url = [NSURL fileURLWithPath:to_objc(path).get()];
  return Owned<id<MTLBinaryArchive>>::adopt([device newBinaryArchiveWithDescriptor:descriptor.get()
                                                                             error:error]);
}

} // namespace

void Archive::use(const std::string& folder) {
  std::error_code failure;
  if (!folder.empty()) {
    std::filesystem::create_directories(folder, failure);
    if (failure || !std::filesystem::is_directory(folder))
      throw Error(errors::archive_folder, folder +
                                              ": no folder for compiled pipelines can be made "
                                              "there" +
                                              (failure ? ": " + failure.message() : ""));
  }
  const std::lock_guard lock(mutex_);
  statistics_ = {};
  statistics_.folder = folder;
}

bool Archive::is_used() const {
  const std::lock_guard lock(mutex_);
  return !statistics_.folder.empty();
}

ArchiveStatistics Archive::statistics() const {
  const std::lock_guard lock(mutex_);
  return statistics_;
}

std::string Archive::path(const std::string& key) const {
  const std::lock_guard lock(mutex_);
  return statistics_.folder + "/" + key + ".metalarchive";
}

void Archive::failed(const std::string& why) {
  const std::lock_guard lock(mutex_);
  ++statistics_.failures;
  statistics_.last_failure = why;
}

Owned<id<MTLComputePipelineState>> Archive::look_up(id<MTLDevice> device,
                                                    MTLComputePipelineDescriptor* descriptor,
                                                    const std::string& key, const Make& make) {
  const std::string file = path(key);
  std::error_code ignored;
  Owned<id<MTLComputePipelineState>> pipeline;
  const bool exists = std::filesystem::exists(file, ignored);
  if (exists) {
    NSError* error = nil;
    if (const auto archive = open_archive(device, file, &error)) {
      descriptor.binaryArchives = @[ archive.get() ];
      pipeline = make(MTLPipelineOptionFailOnBinaryArchiveMiss);
      descriptor.binaryArchives = nil;
    }
    if (!pipeline) // corrupt, of another system, or of another function under the same name
      std::filesystem::remove(file, ignored);
  }
  const std::lock_guard lock(mutex_);
  ++(pipeline ? statistics_.hits : statistics_.misses);
  if (exists && !pipeline)
    ++statistics_.replaced;
  return pipeline;
}

void Archive::add(id<MTLDevice> device, MTLComputePipelineDescriptor* descriptor,
                  const std::string& key) {
  NSError* error = nil;
  const auto archive = open_archive(device, "", &error);
  if (!archive)
    return failed(describe_error(error));
  if (![archive.get() addComputePipelineFunctionsWithDescriptor:descriptor error:&error])
    return failed(describe_error(error));
  static std::atomic<unsigned> count;
  const std::string file = path(key);
  const std::string temporary =
      file + "." + std::to_string(getpid()) + "." + std::to_string(count++) + ".part";
  std::error_code failure;
  if (![archive.get() serializeToURL:[NSURL fileURLWithPath:to_objc(temporary).get()] error:&error])
    failed(describe_error(error));
  else if (std::filesystem::rename(temporary, file, failure); failure)
    failed(file + ": " + failure.message());
  else
    return;
  std::filesystem::remove(temporary, failure);
}

std::string archive_key(const std::string& facts) {
  // FNV-1a twice. A collision costs a compilation: the archive does not hold the function asked
  // for, and is replaced.
  std::string key;
  for (std::uint64_t hash : {0xcbf29ce484222325ull, 0x9ae16a3b2f90404full}) {
    for (const char c : facts)
      hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3ull;
    char digits[17];
    std::snprintf(digits, sizeof digits, "%016llx", static_cast<unsigned long long>(hash));
    key += digits;
  }
  return key;
}

} // namespace metalwright::metal
