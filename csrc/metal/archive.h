// Compiled pipelines on disk (MTLBinaryArchive), one file each. Saves the back end's part of a
// compilation only: Metal compiles the source to a library every time.
#pragma once

#import <Metal/Metal.h>

#include "metal/facilities.h"
#include "metal/objects.h"

#include <functional>
#include <mutex>

namespace metalwright::metal {

// Thread-safe. Several processes may share a folder: files appear whole or not at all.
class Archive {
 public:
  void use(const std::string& folder); // throws Error("archive-folder")
  bool is_used() const;
  ArchiveStatistics statistics() const;

  // The pipeline of `descriptor` if the file of `key` has it, else nothing; a file that cannot be
  // read or holds another pipeline is removed. `make` creates the pipeline with the options given
  // and may return nothing.
  using Make = std::function<Owned<id<MTLComputePipelineState>>(MTLPipelineOption)>;
  Owned<id<MTLComputePipelineState>> look_up(id<MTLDevice> device,
                                             MTLComputePipelineDescriptor* descriptor,
                                             const std::string& key, const Make& make);
  // Adds the pipeline under `key`. That it could not be written is counted, not thrown: the
  // pipeline itself is there.
  void add(id<MTLDevice> device, MTLComputePipelineDescriptor* descriptor, const std::string& key);

 private:
  std::string path(const std::string& key) const;
  void failed(const std::string& why);

  mutable std::mutex mutex_;
  ArchiveStatistics statistics_;
};

// A file name for whatever decides what a pipeline is: 128 bits as hexadecimal digits.
std::string archive_key(const std::string& facts);

} // namespace metalwright::metal
