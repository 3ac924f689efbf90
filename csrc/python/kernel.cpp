// The type metalwright._native.Kernel: a callable that dispatches. Written against the C API,
// because a call has to cost less than pybind11's generic argument handling does.
#include "python/kernel.h"

#include "kernel_log.h"
#include "python/binding.h"
#include "python/errors.h"
#include "python/library.h"
#include "python/observation.h"

#include <pybind11/stl.h>

#include <structmember.h> // PyMemberDef: part of Python.h only from 3.12 on

#include <algorithm>
#include <cstddef>
#include <memory>

namespace py = pybind11;

namespace metalwright::python {

namespace {

struct KernelState {
  std::shared_ptr<Kernel> kernel;
  KernelBinder binder;
  py::list arguments; // of metalwright._native.Argument
  bool torch_introduced = false;

  KernelState(std::shared_ptr<Kernel> kernel_, const DeviceInfo& device, Convention convention)
      : kernel(std::move(kernel_)), binder(*kernel, device, convention) {
    for (const Argument& argument : kernel->arguments())
      if (!is_tensor_shape(argument))
        arguments.append(py::cast(argument));
  }
};

struct KernelObject {
  PyObject_HEAD vectorcallfunc vectorcall;
  KernelState* state;
};

KernelState& state_of(PyObject* self) {
  KernelState* const state = reinterpret_cast<KernelObject*>(self)->state;
  if (state == nullptr)
    throw Error("not-a-kernel", "the kernel object was never initialised");
  return *state;
}

// A Call is kept for the next dispatch of the thread, so that nothing is allocated in the steady
// state. It is taken out while in use: a signal handler may call another kernel in the middle of a
// dispatch.
thread_local std::unique_ptr<Call> spare_call;

class CallLease {
 public:
  CallLease() : call_(spare_call ? std::move(spare_call) : std::make_unique<Call>()) {}
  CallLease(const CallLease&) = delete;
  CallLease& operator=(const CallLease&) = delete;
  ~CallLease() {
    call_->clear(); // releases exported buffers, with the GIL held
    spare_call = std::move(call_);
  }
  Call& operator*() { return *call_; }

 private:
  std::unique_ptr<Call> call_;
};

// Asked by the device during a long run, without the GIL. The exception of the signal handler
// (KeyboardInterrupt) stays set in this thread and wins over DispatchError("interrupted").
bool python_signal_pending() {
  const py::gil_scoped_acquire gil;
  return PyErr_Occurred() != nullptr || PyErr_CheckSignals() != 0;
}

// The kernel is about to meet torch's stream: an mps tensor is bound, or it goes in-stream.
void introduce_torch(KernelState& state, const Dispatch& dispatch) {
  if (state.torch_introduced || !state.binder.home.takes_mps)
    return;
  const bool meets =
      dispatch.order == DispatchOrder::in_stream ||
      std::any_of(dispatch.bindings.begin(), dispatch.bindings.end(),
                  [](const Binding& binding) { return binding.memory == BindingMemory::resource; });
  if (!meets || observation().introduce_torch == nullptr)
    return;
  const py::str device(state.binder.home.device);
  owned(PyObject_CallOneArg(observation().introduce_torch, device.ptr()));
  state.torch_introduced = true;
}

// What kernels have written with os_log goes to Python's logging.
void deliver_log(const std::string& kernel) {
  if (!has_log())
    return;
  const LogContents log = take_log();
  const py::object deliver =
      py::module_::import("metalwright.runtime.kernel_logging").attr("deliver");
  py::list messages;
  for (const LogMessage& message : log.messages) {
    // A kernel may write any bytes.
    const auto text = [](const std::string& bytes) {
      return owned(
          PyUnicode_DecodeUTF8(bytes.data(), static_cast<Py_ssize_t>(bytes.size()), "replace"));
    };
    messages.append(py::make_tuple(message.type, text(message.subsystem), text(message.category),
                                   text(message.text)));
  }
  deliver(kernel, messages, log.dropped);
}

Timing run(PyObject* self, PyObject* const* arguments, std::size_t positional, PyObject* keywords,
           unsigned repeats) {
  KernelState& state = state_of(self);
  CallLease lease;
  Call& call = *lease;
  call.bind(state.binder, arguments, positional, keywords);
  Timing timing;
  if (observation().skipping > 0) {
    timing.runs.assign(repeats, 0.0);
  } else {
    introduce_torch(state, call.dispatch);
    call.dispatch.repeats = repeats;
    call.dispatch.interrupted = python_signal_pending;
    try {
      const py::gil_scoped_release released;
      timing = state.kernel->dispatch(call.dispatch);
    } catch (...) {
      deliver_log(state.kernel->name()); // what it said before it failed
      throw;
    }
    deliver_log(state.kernel->name());
  }
  call.check_reported_errors(state.binder);
  if (!observation().recorders.empty())
    observation().record(self, timing, call.dispatch, state.kernel->static_threadgroup_memory());
  return timing;
}

PyObject* call_kernel(PyObject* self, PyObject* const* arguments, std::size_t flags,
                      PyObject* keywords) noexcept {
  try {
    run(self, arguments, static_cast<std::size_t>(PyVectorcall_NARGS(flags)), keywords, 1);
    Py_RETURN_NONE;
  } catch (...) {
    set_python_error();
    return nullptr;
  }
}

// run(repeats, /, *args, **kwargs) -> Timing
PyObject* run_repeatedly(PyObject* self, PyObject* const* arguments, Py_ssize_t count,
                         PyObject* keywords) noexcept {
  try {
    if (count < 1)
      throw Error("bad-option", "run() takes the number of repeats first");
    const unsigned long repeats = PyLong_AsUnsignedLong(arguments[0]);
    if (PyErr_Occurred() != nullptr)
      throw PythonErrorIsSet();
    if (repeats == 0 || repeats > 1'000'000)
      throw Error("bad-option", "repeats is between 1 and 1000000");
    const Timing timing = run(self, arguments + 1, static_cast<std::size_t>(count - 1), keywords,
                              static_cast<unsigned>(repeats));
    return py::cast(timing).release().ptr();
  } catch (...) {
    set_python_error();
    return nullptr;
  }
}

PyObject* code(PyObject* self, PyObject* stage) noexcept {
  try {
    const char* const name = PyUnicode_AsUTF8(stage);
    if (name == nullptr)
      return nullptr;
    std::string text;
    {
      const std::string wanted = name;
      const py::gil_scoped_release released;
      text = state_of(self).kernel->code(wanted);
    }
    return py::str(text).release().ptr();
  } catch (...) {
    set_python_error();
    return nullptr;
  }
}

PyObject* explain(PyObject* self, PyObject*) noexcept {
  try {
    return py::str(state_of(self).kernel->explain()).release().ptr();
  } catch (...) {
    set_python_error();
    return nullptr;
  }
}

PyObject* construct(PyTypeObject* type, PyObject* arguments, PyObject* keywords) noexcept {
  try {
    const py::tuple given = py::reinterpret_borrow<py::tuple>(arguments);
    if (keywords != nullptr || given.size() != 4)
      throw py::type_error("Kernel(library, name, constants, convention)");
    auto& library = given[0].cast<NativeLibrary&>();
    const auto name = given[1].cast<std::string>();
    const auto constants = constant_values(given[2]);
    const auto convention = given[3].cast<std::string>();
    if (convention != "metalwright" && convention != "torch")
      throw messages::bad_option("convention", convention, "'metalwright' or 'torch'");
    std::shared_ptr<Kernel> kernel;
    {
      const py::gil_scoped_release released; // specialising compiles
      kernel = library.library->kernel(name, constants);
    }
    auto state = std::make_unique<KernelState>(std::move(kernel), library.device->info(),
                                               convention == "torch" ? Convention::torch
                                                                     : Convention::metalwright);
    PyObject* const self = checked(type->tp_alloc(type, 0));
    auto* const object = reinterpret_cast<KernelObject*>(self);
    object->vectorcall = call_kernel;
    object->state = state.release();
    return self;
  } catch (...) {
    set_python_error();
    return nullptr;
  }
}

void destroy(PyObject* self) noexcept {
  PyTypeObject* const type = Py_TYPE(self);
  delete reinterpret_cast<KernelObject*>(self)->state;
  type->tp_free(self);
  Py_DECREF(type); // instances of heap types own a reference to their type
}

template <auto Read> PyObject* property(PyObject* self, void*) noexcept {
  try {
    auto value = Read(state_of(self));
    if constexpr (std::is_base_of_v<py::object, decltype(value)>)
      return value.release().ptr();
    else
      return py::cast(value).release().ptr();
  } catch (...) {
    set_python_error();
    return nullptr;
  }
}

PyMethodDef methods[] = {
    {"run", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(run_repeatedly)),
     METH_FASTCALL | METH_KEYWORDS, "Dispatch several times in a row; what the device measured."},
    {"code", code, METH_O, "The code at a stage, as text."},
    {"explain", explain, METH_NOARGS, "How the kernel executes, one fact per line."},
    {nullptr, nullptr, 0, nullptr}};

PyGetSetDef properties[] = {
    {"name", property<[](KernelState& s) { return s.kernel->name(); }>, nullptr, nullptr, nullptr},
    {"arguments", property<[](KernelState& s) -> py::object { return s.arguments; }>, nullptr,
     nullptr, nullptr},
    {"max_threads_per_threadgroup",
     property<[](KernelState& s) { return s.kernel->max_threads_per_threadgroup(); }>, nullptr,
     nullptr, nullptr},
    {"thread_execution_width",
     property<[](KernelState& s) { return s.kernel->thread_execution_width(); }>, nullptr, nullptr,
     nullptr},
    {"static_threadgroup_memory",
     property<[](KernelState& s) { return s.kernel->static_threadgroup_memory(); }>, nullptr,
     nullptr, nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr}};

PyMemberDef members[] = {
    {"__vectorcalloffset__", T_PYSSIZET, offsetof(KernelObject, vectorcall), READONLY, nullptr},
    {nullptr, 0, 0, 0, nullptr}};

PyType_Slot slots[] = {{Py_tp_new, reinterpret_cast<void*>(construct)},
                       {Py_tp_dealloc, reinterpret_cast<void*>(destroy)},
                       {Py_tp_call, reinterpret_cast<void*>(PyVectorcall_Call)},
                       {Py_tp_methods, methods},
                       {Py_tp_getset, properties},
                       {Py_tp_members, members},
                       {0, nullptr}};

PyType_Spec spec = {"metalwright._native.Kernel", sizeof(KernelObject), 0,
                    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_VECTORCALL, slots};

} // namespace

void register_kernel(py::module_& module) {
  module.add_object("Kernel", owned(PyType_FromSpec(&spec)));
}

} // namespace metalwright::python
