// A stand-in for torch's stream on the GPU (torch::mps), and for the buffers of its tensors.
#pragma once

#include <cstdint>
#include <string>

namespace torch_standin {

// How torch behaves that has this version. 2.6 to 2.8 leave their encoder open on the command
// buffer that get_command_buffer() gives; from 2.15 on it and commit() trap off torch's queue, and
// synchronize() deadlocks on it. Both are recorded as misuse and thrown.
void set_version(int major, int minor);

// Makes the functions of torch::mps visible to dlsym(RTLD_DEFAULT, ...), as importing torch does.
// Not to be undone in this process.
void load_globally();

// x[i] = x[i] * factor + summand for `count` floats from the byte offset, in torch's stream:
// encoded, neither committed nor waited for.
void enqueue_multiply_add(std::uint64_t buffer, std::uint64_t offset, std::uint64_t count,
                          float factor, float summand);
// What torch.mps.synchronize() does, from whatever thread.
void synchronize();
// Two mistakes, for the tests of this stand-in: from 2.15 on they end a program.
void synchronize_on_queue();
void commit_off_queue();
// Drops what is encoded and the stream's objects; for the end of a test.
void reset();

// A buffer as torch's allocator makes it: at least `length` bytes, rounded up to a multiple of
// `round_to`. The number is the object's address, which is also a tensor's storage pointer.
// `device` 1 is the second device.
std::uint64_t new_buffer(std::uint64_t length, bool is_private, std::uint64_t round_to,
                         unsigned device);
void release_buffer(std::uint64_t buffer);
std::uint64_t buffer_length(std::uint64_t buffer);
unsigned buffer_retain_count(std::uint64_t buffer);
// The host's view, for private storage too.
void* buffer_memory(std::uint64_t buffer);

} // namespace torch_standin
