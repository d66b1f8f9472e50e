// A team of threads for work that comes in chunks. The caller works too; chunks are taken one by one, so a thread that the
// system holds up delays its own chunk only.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>

namespace sotto {

class Threads {
 public:
  // count: threads that work, the caller's among them; at least 1.
  explicit Threads(int count);
  ~Threads();
  Threads(const Threads&) = delete;
  Threads& operator=(const Threads&) = delete;

  int count() const;

  // Calls work(chunk, worker) for each chunk from 0 to chunks - 1, and returns when all are done. `worker` is from 0 to count() - 1:
  // no two calls at a time have the same one, so it may index scratch memory. From one thread at a time; not from inside work.
  void run(size_t chunks, const std::function<void(size_t chunk, int worker)>& work);

 private:
  struct Team;
  std::unique_ptr<Team> team_;
};

}  // namespace sotto
