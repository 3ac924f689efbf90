// The devices of this process: those of the build, and those that other modules register.
#pragma once

#include "device.h"

#include <memory>
#include <string>
#include <vector>

namespace metalwright::python {

// In the order in which they are preferred within a kind. Made on first use: a device starts
// threads, which must not happen when the module is imported (and perhaps forked).
std::vector<std::shared_ptr<Device>> present_devices();

// By kind ("cpu", "metal"), or by kind and position among several of a kind ("metal:1"). Throws
// Error("no-such-device").
std::shared_ptr<Device> device_named(const std::string& name);

// Adds a device that another module made of the same sources. It takes the place of one of its kind
// that was registered earlier, never of one of the build: throws Error("device-exists").
void register_device(std::shared_ptr<Device> device);

// Takes out what register_device added under this kind, if anything.
void unregister_device(const std::string& kind);

// Changes whenever a device comes or goes: what was compiled before belongs to other devices.
unsigned registry_generation();

} // namespace metalwright::python
