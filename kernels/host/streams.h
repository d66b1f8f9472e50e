// Streams, events and graphs. Nothing runs when it is queued: a stream's work runs when somebody waits for it or asks after it. So
// who reads a result without waiting, or changes what a copy has yet to read, sees it in the stand-in every time.
#pragma once

#include <stdint.h>

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <thread>
#include <vector>

namespace standin {

struct Stream;

// One piece of work; returns 0 or the driver's number of an error that ends the device's work.
using Task = std::function<int()>;

struct Graph {
  std::vector<Task> tasks;  // in an order that keeps to their dependencies
};

// A capture under way, of one stream and those that joined it.
struct Capture {
  std::shared_ptr<Graph> graph = std::make_shared<Graph>();
  Stream* origin = nullptr;
  int mode = 0;  // 0 global, 1 thread local, 2 relaxed
  std::thread::id thread;
  bool invalid = false;
  std::set<Stream*> unjoined;
};

// A moment in a stream's work: it has come when `done`.
struct Moment {
  std::weak_ptr<Stream> stream;
  uint64_t number = 0;  // of the stream's tasks
  bool done = false;
  double milliseconds = 0;
  std::shared_ptr<Capture> capture;  // recorded in a capture
  uint64_t captured = 0;             // tasks of the stream in the capture then
};

struct Event {
  unsigned flags = 0;
  std::shared_ptr<Moment> moment;  // of the latest record; null before the first
};

struct Stream {
  int device = 0;
  bool blocking = true;  // keeps order with the default stream
  std::deque<Task> queue;
  uint64_t queued = 0, done = 0;  // tasks
  bool running = false;
  bool asked = false;  // since something was queued
  std::deque<std::pair<uint64_t, std::shared_ptr<Moment>>> waits;  // before the task of that number
  std::shared_ptr<Capture> capture;
  uint64_t captured = 0;  // tasks in the capture
};

// Guards everything above. Tasks run without it.
extern std::mutex& streamsLock;
using Guard = std::unique_lock<std::mutex>;

// Queues a task, or keeps it in the capture that the stream is in.
void enqueue(Stream& stream, Task task);

// Runs the stream's tasks up to the given number of them, and what they wait for.
void runUntil(const std::shared_ptr<Stream>& stream, uint64_t number, Guard& guard);

double now();  // ms

// Called with an error of a task: the device's, until its context is new.
extern void (*onError)(int device, int error);
// The error that a device is in, or 0.
extern int (*errorOf)(int device);

}  // namespace standin
