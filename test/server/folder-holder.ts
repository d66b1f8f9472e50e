/** Processes that hold a folder, in this PID namespace or in one of their own. */
import { spawn, type ChildProcess } from "node:child_process";
import { fileURLToPath } from "node:url";

export interface FolderHolder {
  readonly child: ChildProcess;
  readonly path: string;
  /** As the holder sees it. */
  readonly pid: number;
  /** Resolves when the process, and all that it has started, has ended. */
  end(signal: NodeJS.Signals): Promise<void>;
}

/**
 * Starts a holder, and waits until it has the folder.
 *
 * @param command what runs node, such as `unshare`
 */
export async function holdFolder(
  parent: string,
  prefix: string,
  command: readonly string[] = [],
): Promise<FolderHolder> {
  const script = fileURLToPath(new URL("hold-folder.mjs", import.meta.url));
  const [program, ...args] = [...command, process.execPath, script, parent, prefix];
  const child = spawn(program, args, { stdio: ["ignore", "pipe", "inherit"] });
  const line = await new Promise<string>((resolve, reject) => {
    child.stdout.setEncoding("utf8").on("data", (text: string) => resolve(text.trim()));
    child.once("error", reject);
    child.once("exit", (code) => reject(new Error(`The holder ended with ${code}`)));
  });
  const [, pid, path] = /^(\d+) (.*)$/.exec(line) ?? [];
  return {
    child,
    path,
    pid: Number(pid),
    end: (signal) =>
      new Promise<void>((resolve) => {
        child.once("close", () => resolve());
        child.kill(signal);
      }),
  };
}
