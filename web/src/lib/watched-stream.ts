/** A stream that ends with an error when it breaks, or when nothing has come for too long. */

/**
 * Passes a stream on.
 *
 * @param milliseconds of silence after which the sender is taken for gone: a machine that sleeps, or a network that was
 *   left, closes no connection
 * @param error what reading fails with then
 */
export function watchStream<T>(stream: ReadableStream<T>, milliseconds: number, error: Error): ReadableStream<T> {
  const reader = stream.getReader();
  let timer: ReturnType<typeof setTimeout> | undefined;
  return new ReadableStream<T>({
    pull: async (controller) => {
      timer = setTimeout(() => {
        controller.error(error);
        void reader.cancel().catch(() => undefined);
      }, milliseconds);
      try {
        const { done, value } = await reader.read();
        if (done) controller.close();
        else controller.enqueue(value);
      } catch {
        controller.error(error);
      } finally {
        clearTimeout(timer);
      }
    },
    cancel: (reason) => {
      clearTimeout(timer);
      return reader.cancel(reason);
    },
  });
}
