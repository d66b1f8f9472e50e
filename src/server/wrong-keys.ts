/** Bounds how many wrong API keys come from one place, so that keys cannot be found by trying. */
import { isIP } from "node:net";
import { performance } from "node:perf_hooks";

/** Wrong keys of one place within a window; then all keys that were not right there before are refused unseen. */
const MAX_WRONG = 5;
const WINDOW_MS = 60_000;

/** Places that are remembered: the oldest ones are forgotten first. */
const MAX_PLACES = 10_000;

export class WrongKeys {
  readonly #now: () => number;
  readonly #wrong = new Map<string, { count: number; readonly until: number }>();
  /** Names of keys that were right. */
  readonly #right = new Map<string, Set<string>>();

  /** @param now in ms, monotone */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** Seconds until a key may be tried from an address; 0 if it may be now, or was right there before. */
  secondsToWait(address: string, key: string): number {
    const place = placeOf(address);
    if (this.#right.get(place)?.has(key) === true) return 0;
    const wrong = this.#wrong.get(place);
    if (wrong === undefined || wrong.count < MAX_WRONG) return 0;
    return Math.max(0, Math.ceil((wrong.until - this.#now()) / 1000));
  }

  /** A wrong key came from an address. */
  add(address: string): void {
    const place = placeOf(address);
    const now = this.#now();
    const wrong = this.#wrong.get(place);
    if (wrong !== undefined && wrong.until > now) wrong.count++;
    else remember(this.#wrong, place, { count: 1, until: now + WINDOW_MS });
  }

  /** A right key came from an address: wrong keys of others there do not shut it out. */
  trust(address: string, key: string): void {
    const place = placeOf(address);
    const keys = this.#right.get(place);
    if (keys === undefined) remember(this.#right, place, new Set([key]));
    else keys.add(key);
  }
}

function remember<T>(map: Map<string, T>, place: string, value: T): void {
  map.delete(place);
  map.set(place, value);
  if (map.size <= MAX_PLACES) return;
  for (const oldest of map.keys()) {
    map.delete(oldest);
    return;
  }
}

/** Of IPv6 the first 64 bits, all below which a subscriber has; an IPv4 address as it is. */
function placeOf(address: string): string {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address);
  if (mapped !== null) return mapped[1];
  if (isIP(address) !== 6) return address;
  const [head, tail] = address.split("%")[0].split("::");
  const groups = head === "" ? [] : head.split(":");
  const missing = tail === undefined ? 0 : 8 - groups.length - (tail === "" ? 0 : tail.split(":").length);
  const filled = [...groups, ...Array<string>(Math.max(0, missing)).fill("0"), ...(tail ?? "").split(":")];
  return filled
    .slice(0, 4)
    .map((group) => Number.parseInt(group, 16).toString(16))
    .join(":");
}
