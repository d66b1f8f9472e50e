/** Server-sent events read from a fetch: unlike EventSource, which cannot carry an API key. */

export interface ServerEvent {
  /** "message" where the server gave no name. */
  readonly event: string;
  readonly data: string;
  /** Of the last event that had one; "" before. */
  readonly id: string;
}

/** The most text that one event may hold, in UTF-16 units: a transcript of 2 h with words is some 4 MB. */
const MAX_EVENT = 64 * 1024 * 1024;

/**
 * The events of a stream, in order, until it ends. Comments and unknown fields are left out.
 *
 * @throws {RangeError} if an event is too long to be believed
 * @see HTML, "Interpreting an event stream"
 */
export async function* parseEventStream(stream: ReadableStream<Uint8Array>): AsyncGenerator<ServerEvent> {
  const reader = stream.pipeThrough(new TextDecoderStream() as ReadableWritablePair<string, Uint8Array>).getReader();
  let rest = "";
  let event = "message";
  let data: string[] = [];
  let id = "";
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      // A CR at the end may be half of a CR LF.
      const text = rest + value;
      const usable = text.endsWith("\r") ? text.length - 1 : text.length;
      const lines = text.slice(0, usable).split(/\r\n|\n|\r/);
      rest = (lines.pop() ?? "") + text.slice(usable);
      if (rest.length > MAX_EVENT) throw new RangeError("Cannot read the events: one is too long");
      for (const line of lines) {
        if (line === "") {
          if (data.length > 0) yield { event, data: data.join("\n"), id };
          event = "message";
          data = [];
          continue;
        }
        const [, field, content] = /^([^:]*):? ?(.*)$/s.exec(line) ?? [];
        if (field === "data") data.push(content);
        else if (field === "event") event = content;
        else if (field === "id") id = content;
      }
    }
  } finally {
    await reader.cancel().catch(() => undefined);
  }
}
