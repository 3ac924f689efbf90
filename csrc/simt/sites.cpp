// The order of convergent call sites, and the markers that keep loops in step.
#include "simt/sites.h"

#include "simt/convergent_ops.h"
#include "simt/loop_order.h"
#include "simt/value_checks.h"

#include <llvm/Analysis/LoopInfo.h>
#include <llvm/IR/AttributeMask.h>
#include <llvm/IR/Dominators.h>
#include <llvm/IR/InstIterator.h>
#include <llvm/IR/Module.h>
#include <llvm/Transforms/Utils/LoopSimplify.h>

namespace metalwright::simt {

namespace {

bool is_site(const llvm::Instruction& instruction) {
  const auto* call = llvm::dyn_cast<llvm::CallInst>(&instruction);
  const llvm::Function* callee = call ? call->getCalledFunction() : nullptr;
  return callee &&
         (callee->getName() == kReconvergeMarker || is_convergent_name(callee->getName()));
}

bool has_site(const llvm::BasicBlock& block) {
  return llvm::any_of(block,
                      [](const llvm::Instruction& instruction) { return is_site(instruction); });
}

// A marker at the latch of every loop with sites, unless the loop's last site is on every way
// round.
void place_markers(llvm::Function& function, const llvm::LoopInfo& loops,
                   const llvm::DominatorTree& dominators) {
  const std::vector<llvm::BasicBlock*> order = loop_order(function, loops);
  llvm::FunctionCallee marker;
  const auto preorder = loops.getLoopsInPreorder();
  for (const llvm::Loop* loop : llvm::reverse(preorder)) { // inner loops first
    llvm::BasicBlock* latch = loop->getLoopLatch();
    if (!latch)
      continue;
    const llvm::BasicBlock* last = nullptr;
    for (const llvm::BasicBlock* block : order)
      if (loop->contains(block) && has_site(*block))
        last = block;
    if (!last || (loops.getLoopFor(last) == loop && dominators.dominates(last, latch)))
      continue;
    if (!marker) {
      marker = function.getParent()->getOrInsertFunction(
          kReconvergeMarker, llvm::Type::getVoidTy(function.getContext()));
      auto* declaration = llvm::cast<llvm::Function>(marker.getCallee());
      declaration->addFnAttr(llvm::Attribute::Convergent);
      declaration->addFnAttr(llvm::Attribute::NoUnwind);
    }
    llvm::CallInst::Create(marker, "", latch->getTerminator()->getIterator())
        ->setDebugLoc(latch->getTerminator()->getDebugLoc());
  }
}

std::string describe(llvm::StringRef name) {
  if (name == kReconvergeMarker)
    return "end of a loop's iteration";
  if (name.starts_with("air.wg.barrier"))
    return "threadgroup_barrier";
  if (name.starts_with("air.simdgroup.barrier"))
    return "simdgroup_barrier";
  name.consume_front("air.");
  return name.split('.').first.str();
}

} // namespace

void protect_convergent_calls(llvm::Module& module) {
  for (llvm::Function& function : module) {
    if (!is_convergent_name(function.getName()))
      continue;
    function.addFnAttr(llvm::Attribute::Convergent);
    function.addFnAttr(llvm::Attribute::NoUnwind);
    // A result that nobody uses still has to wait for the others.
    function.setMemoryEffects(llvm::MemoryEffects::unknown());
    for (llvm::User* user : function.users())
      if (auto* call = llvm::dyn_cast<llvm::CallInst>(user)) {
        llvm::AttributeMask claims;
        claims.addAttribute(llvm::Attribute::Memory);
        claims.addAttribute(llvm::Attribute::WillReturn);
        call->removeFnAttrs(claims);
        call->addFnAttr(llvm::Attribute::Convergent);
        call->addFnAttr(llvm::Attribute::NoMerge);
      }
    function.removeFnAttr(llvm::Attribute::WillReturn);
    function.removeFnAttr(llvm::Attribute::NoSync);
    function.removeFnAttr(llvm::Attribute::NoFree);
    function.removeFnAttr(llvm::Attribute::Speculatable);
  }
}

std::vector<Site> number_sites(llvm::Function& function) {
  make_reducible(function);
  llvm::DominatorTree dominators(function);
  llvm::LoopInfo loops(dominators);
  const std::vector<llvm::Loop*> top_level(loops.begin(), loops.end());
  for (llvm::Loop* loop : top_level)
    llvm::simplifyLoop(loop, &dominators, &loops, nullptr, nullptr, nullptr, false);
  place_markers(function, loops, dominators);

  std::vector<Site> sites;
  for (llvm::BasicBlock* block : loop_order(function, loops))
    for (llvm::Instruction& instruction : *block) {
      if (!is_site(instruction))
        continue;
      Site site;
      site.call = llvm::cast<llvm::CallInst>(&instruction);
      site.what = describe(site.call->getCalledFunction()->getName());
      const SourcePlace place = place_of(instruction);
      site.file = place.file;
      site.line = place.line;
      site.column = place.column;
      sites.push_back(std::move(site));
    }
  return sites;
}

} // namespace metalwright::simt
