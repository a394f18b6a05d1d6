#pragma once

// See rendezvous/store.h.

namespace gloo::transport {

class Device;
class UnboundBuffer;

}  // namespace gloo::transport
