// What the test programs share: checks that are printed and counted.
#pragma once

#include <cstdio>
#include <string>

namespace sotto {

inline int failures = 0;

inline void check(bool right, const std::string& what) {
  std::printf("%s  %s\n", right ? "ok  " : "FAIL", what.c_str());
  if (!right) failures++;
}

// As check(), with a number that must stay below its bound.
inline void checkBelow(double value, double bound, const std::string& what) {
  char text[64];
  std::snprintf(text, sizeof text, ": %.3g, allowed %.3g", value, bound);
  check(value < bound, what + text);
}

// The exit code of a test program.
inline int result() {
  std::printf(failures == 0 ? "all right\n" : "%d failures\n", failures);
  return failures == 0 ? 0 : 1;
}

}  // namespace sotto
