/**
 * Which job this tab follows, remembered over reloads (sessionStorage). A tab that was duplicated remembers the job of the
 * tab it is a copy of: tabs ask each other whose a job is, and it stays with the one that answers.
 */

const KEY = "sotto.job";
/** Milliseconds in which another tab would have answered. */
const ANSWER_MS = 250;

type Message = { readonly type: "whose" | "mine"; readonly id: string };

export class TabJob {
  private own: string | null = null;
  private readonly channel = new BroadcastChannel("sotto.jobs");

  constructor() {
    this.channel.addEventListener("message", ({ data }: MessageEvent<Message>) => {
      if (data.type === "whose" && data.id === this.own) this.say({ type: "mine", id: data.id });
    });
  }

  /** From now on the tab follows the job of this entry of the history. */
  claim(id: string): void {
    this.own = id;
    sessionStorage.setItem(KEY, id);
  }

  release(): void {
    if (this.own === null) return;
    this.own = null;
    sessionStorage.removeItem(KEY);
  }

  /** The entry whose job this tab followed before it was reloaded; null if there is none, or it is another tab's. */
  async restore(): Promise<string | null> {
    const id = sessionStorage.getItem(KEY);
    if (id === null) return null;
    const isTaken = await new Promise<boolean>((resolve) => {
      const hear = ({ data }: MessageEvent<Message>): void => {
        if (data.type === "mine" && data.id === id) end(true);
      };
      const end = (answer: boolean): void => {
        clearTimeout(timer);
        this.channel.removeEventListener("message", hear);
        resolve(answer);
      };
      const timer = setTimeout(() => end(false), ANSWER_MS);
      this.channel.addEventListener("message", hear);
      this.say({ type: "whose", id });
    });
    // What the tab began meanwhile goes before.
    if (this.own !== null) return null;
    if (isTaken) sessionStorage.removeItem(KEY);
    return isTaken ? null : id;
  }

  private say(message: Message): void {
    this.channel.postMessage(message);
  }
}
