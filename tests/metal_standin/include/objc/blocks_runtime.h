// What GNUstep includes for blocks.
#pragma once
#include <Block.h>
