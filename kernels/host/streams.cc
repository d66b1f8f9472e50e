#include "streams.h"

#include <chrono>

namespace standin {

std::mutex& streamsLock = *new std::mutex;
void (*onError)(int device, int error) = nullptr;
int (*errorOf)(int device) = nullptr;

namespace {
std::condition_variable& changed = *new std::condition_variable;
}

double now() {
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

void enqueue(Stream& stream, Task task) {
  if (stream.capture != nullptr) {
    stream.capture->graph->tasks.push_back(std::move(task));
    stream.captured++;
    if (&stream != stream.capture->origin) stream.capture->unjoined.insert(&stream);
    return;
  }
  stream.queue.push_back(std::move(task));
  stream.queued++;
  stream.asked = false;
}

void runUntil(const std::shared_ptr<Stream>& stream, uint64_t number, Guard& guard) {
  while (stream->done < number) {
    if (stream->running) {
      changed.wait(guard);
      continue;
    }
    stream->running = true;
    while (!stream->waits.empty() && stream->waits.front().first <= stream->done) {
      std::shared_ptr<Moment> moment = stream->waits.front().second;
      stream->waits.pop_front();
      std::shared_ptr<Stream> other = moment->stream.lock();
      if (!moment->done && other != nullptr && other != stream) runUntil(other, moment->number, guard);
    }
    Task task = std::move(stream->queue.front());
    stream->queue.pop_front();
    // After an error nothing runs any more, but everything ends.
    int error = errorOf(stream->device);
    if (error == 0) {
      guard.unlock();
      error = task();
      guard.lock();
      if (error != 0) onError(stream->device, error);
    }
    stream->running = false;
    stream->done++;
    changed.notify_all();
  }
}

}  // namespace standin
