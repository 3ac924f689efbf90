// What bears on every dispatch of the process: recorders, the no-op switch, the default deadline,
// the order in the stream.
#include "python/observation.h"

#include "python/errors.h"

#include <pybind11/stl.h>

#include <algorithm>
#include <numeric>

namespace py = pybind11;

namespace metalwright::python {

Observation& observation() {
  static Observation* const instance = new Observation;
  return *instance;
}

DispatchOrder& stream_order() {
  thread_local DispatchOrder order = DispatchOrder::isolated;
  return order;
}

void Observation::record(PyObject* kernel, const Timing& timing, const Dispatch& dispatch,
                         std::uint64_t static_threadgroup_memory) const {
  if (recorders.empty())
    return;
  const double sum =
      std::accumulate(timing.runs.begin(), timing.runs.end(), 0.0) * timing.repeats_per_run;
  const py::object seconds = timing.runs.empty() ? py::object(py::none()) : py::float_(sum);
  const Size3& group = dispatch.threads_per_threadgroup;
  const Size3& grid = dispatch.grid;
  const auto threads = [&](std::uint64_t count, std::uint64_t per_group) {
    return dispatch.grid_is_threads ? count : count * per_group;
  };
  std::uint64_t threadgroup_memory = static_threadgroup_memory;
  for (const Binding& binding : dispatch.bindings)
    if (binding.kind == ArgumentKind::threadgroup_memory)
      threadgroup_memory += binding.length;
  const py::tuple entry = py::make_tuple(
      py::handle(kernel), seconds,
      py::make_tuple(threads(grid.x, group.x), threads(grid.y, group.y), threads(grid.z, group.z)),
      py::make_tuple(group.x, group.y, group.z), threadgroup_memory);
  for (const py::list& recorder : recorders)
    if (PyList_Append(recorder.ptr(), entry.ptr()) != 0)
      throw PythonErrorIsSet();
}

void register_observation(py::module_& module) {
  module.def(
      "add_recorder",
      [](py::list recorder) { observation().recorders.push_back(std::move(recorder)); },
      py::arg("recorder"));
  module.def(
      "remove_recorder",
      [](const py::list& recorder) {
        auto& recorders = observation().recorders;
        // By identity: two recorders with equal contents are two recorders. The last one first, so
        // that nested recorders may be the same list.
        const auto found = std::find_if(recorders.rbegin(), recorders.rend(),
                                        [&](const py::list& other) { return other.is(recorder); });
        if (found != recorders.rend())
          recorders.erase(std::next(found).base());
      },
      py::arg("recorder"));
  module.def("begin_skipping", [] { ++observation().skipping; });
  module.def("end_skipping",
             [] { observation().skipping = std::max(0, observation().skipping - 1); });
  module.def(
      "set_introduce_torch",
      [](py::function function) {
        PyObject* const before = observation().introduce_torch;
        observation().introduce_torch = function.release().ptr();
        Py_XDECREF(before);
      },
      py::arg("function"));
  // Returns what it was before.
  module.def(
      "set_in_stream",
      [](bool in_stream) {
        const bool before = stream_order() == DispatchOrder::in_stream;
        stream_order() = in_stream ? DispatchOrder::in_stream : DispatchOrder::isolated;
        return before;
      },
      py::arg("in_stream"));
  module.def("default_deadline", [] { return observation().default_deadline; });
  module.def(
      "set_default_deadline",
      [](std::optional<double> seconds) { observation().default_deadline = seconds; },
      py::arg("seconds"));
}

} // namespace metalwright::python
