// What a running capture is told.
#pragma once

namespace metal_standin {
void capture_command_buffer();
}
