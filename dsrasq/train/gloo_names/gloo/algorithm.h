#pragma once

// See rendezvous/store.h.
