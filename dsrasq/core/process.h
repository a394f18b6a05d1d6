#pragma once

// What the program knows of itself and the machine: memory, and whether the user asked to stop.

#include <cstdint>

namespace dsrasq {

/// Bytes of the machine's RAM, or of the control group's limit where that is smaller.
uint64_t total_memory_bytes();
/// Bytes that could be allocated now without swapping.
uint64_t available_memory_bytes();
/// The most bytes of RAM that this process has held at once, and what it holds now.
uint64_t peak_rss_bytes();
uint64_t current_rss_bytes();

/// From here on SIGINT and SIGTERM only set a flag; one that comes more than a moment after the
/// first ends the process at once.
void watch_interrupts();
/// True once the user asked to stop.
bool interrupted();
/// Throws kInterrupted once the user asked to stop. Cheap: call it between blocks.
void check_interrupt();

}  // namespace dsrasq
