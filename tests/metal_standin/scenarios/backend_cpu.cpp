// The CPU device, for the program that links it.
#include "cpu/device.h"

#include <memory>

std::shared_ptr<metalwright::Device> scenario_backend() {
  return metalwright::cpu::cpu_device();
}
