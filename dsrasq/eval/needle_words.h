#pragma once

// Words for needle keys such as "gentle-harbor".

#include <array>
#include <string_view>

namespace dsrasq::eval {

inline constexpr std::array<std::string_view, 64> kAdjectives = {
    "able",   "ancient", "amber",   "bitter",  "bold",   "brave",  "brief",   "bright",
    "busy",   "calm",    "careful", "cheap",   "clever", "cold",   "crooked", "curious",
    "damp",   "dapper",  "deep",    "dizzy",   "dusty",  "eager",  "early",   "faint",
    "fancy",  "fierce",  "gentle",  "giddy",   "gloomy", "grand",  "green",   "happy",
    "hollow", "honest",  "humble",  "icy",     "idle",   "jolly",  "keen",    "lavish",
    "lively", "lonely",  "loud",    "lucky",   "mellow", "merry",  "mighty",  "narrow",
    "nimble", "noisy",   "odd",     "patient", "plain",  "proud",  "quick",   "quiet",
    "rapid",  "rusty",   "scarce",  "silent",  "sleepy", "steady", "tidy",    "wooden"};

inline constexpr std::array<std::string_view, 64> kNouns = {
    "acorn",  "anchor", "apron",   "badger",  "banjo",   "barrel",  "basket",  "beacon",
    "bridge", "bucket", "button",  "candle",  "canyon",  "carpet",  "castle",  "cellar",
    "cherry", "cinder", "cobbler", "compass", "copper",  "cradle",  "cricket", "curtain",
    "dagger", "donkey", "engine",  "falcon",  "feather", "fiddle",  "forest",  "garden",
    "goblet", "hammer", "harbor",  "helmet",  "island",  "kettle",  "ladder",  "lantern",
    "lemon",  "magnet", "marble",  "meadow",  "mirror",  "needle",  "orchard", "oyster",
    "parrot", "pebble", "pepper",  "pillow",  "pocket",  "puzzle",  "rabbit",  "ribbon",
    "saddle", "spider", "teapot",  "ticket",  "timber",  "trumpet", "violin",  "window"};

}  // namespace dsrasq::eval
