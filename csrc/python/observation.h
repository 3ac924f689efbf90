// What bears on every dispatch of the process: recorders, the no-op switch, the default deadline,
// the order in the stream. All of it is read and written with the GIL held.
#pragma once

#include "device.h"

#include <pybind11/pybind11.h>

#include <optional>
#include <vector>

namespace metalwright::python {

struct Observation {
  // Python lists; each gets a tuple per dispatch: kernel, device seconds (None if the device
  // measured none: in-stream), grid in threads, threads per threadgroup, bytes of threadgroup
  // memory per threadgroup.
  std::vector<pybind11::list> recorders;
  // Dispatches are checked and recorded, with 0 seconds, but the kernel does not run.
  int skipping = 0;
  std::optional<double> default_deadline;
  // Called with a device's name before the first dispatch of a kernel that has to do with torch's
  // stream: it tells the device which torch there is. Null: nobody does.
  PyObject* introduce_torch = nullptr;

  void record(PyObject* kernel, const Timing& timing, const Dispatch& dispatch,
              std::uint64_t static_threadgroup_memory) const;
};

// The one instance; never destroyed, because a kernel may still be called while the process exits.
Observation& observation();

// How the dispatches of this thread meet torch's work: `with metalwright.stream_order(...)`.
DispatchOrder& stream_order();

void register_observation(pybind11::module_& module);

} // namespace metalwright::python
