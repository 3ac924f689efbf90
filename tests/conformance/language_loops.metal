/*
out = zeros("i32", 5)
run("k", out, threads=5)
def collatz(n):
    steps = 0
    while n != 1:
        n = n // 2 if n % 2 == 0 else 3 * n + 1
        steps += 1
    return steps
same(out, i32([collatz(n + 1) + sum(j for j in range(n + 10) if j % 3 and j < 9) + 1 for n in range(5)]))
*/
#include <metal_stdlib>
using namespace metal;

kernel void k(device int* out, uint i [[thread_position_in_grid]]) {
  int n = int(i) + 1, steps = 0;
  while (n != 1) {
    n = n % 2 ? 3 * n + 1 : n / 2;
    ++steps;
  }
  for (int j = 0; j < int(i) + 10; ++j) {
    if (j % 3 == 0)
      continue;
    if (j >= 9)
      break;
    steps += j;
  }
  do {
    ++steps;
  } while (false);
  out[i] = steps;
}
