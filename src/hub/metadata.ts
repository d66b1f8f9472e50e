/** Asks the hub what a file is, before any byte of it: which commit, which checksum, how large. */
import { HubError } from "../errors.ts";
import { isCommit } from "./cache.ts";
import type { HubSettings } from "./settings.ts";
import { request, withRetries } from "./transport.ts";

export interface FileMetadata {
  readonly commit: string;
  /** Name of the blob: a sha256 for large files, a git sha1 for others. */
  readonly etag: string;
  /** null if the server does not say. */
  readonly size: number | null;
}

/** Address of a file. */
export function fileUrl(settings: HubSettings, repository: string, revision: string, file: string): string {
  return `${settings.endpoint}/${repository}/resolve/${encodeURIComponent(revision)}/${file}`;
}

/**
 * @returns null if the repository has no such file
 * @throws {HubError} if the repository or its revision does not exist, or may not be read
 */
export async function fileMetadata(
  settings: HubSettings,
  repository: string,
  revision: string,
  file: string,
): Promise<FileMetadata | null> {
  const url = fileUrl(settings, repository, revision, file);
  const { origin } = new URL(url);
  const answer = await withRetries(settings, repository, () =>
    // A redirect within the hub is a renamed model or its cache; one to another server is where the bytes are, and by
    // then everything has been said.
    request(
      settings,
      repository,
      "HEAD",
      url,
      {},
      (headers, next) => !headers.has("x-linked-etag") && next.origin === origin,
    ),
  );
  answer.close();
  const { status, headers } = answer.response;
  if (status === 404 && isMissingFile(headers.get("x-error-code"))) return null;
  if (status >= 400) throw refusal(settings, repository, revision, status, headers);

  /** First redirect first: what the hub says of a file counts for more than what the server of its bytes says. */
  const header = (name: string): string | undefined => {
    for (const each of answer.headers) if (each.has(name)) return each.get(name)!;
    return undefined;
  };
  const commit = header("x-repo-commit") ?? "";
  const etag = (header("x-linked-etag") ?? headers.get("etag") ?? "").replace(/^W\//, "").replaceAll('"', "");
  // Both become names of files.
  if (!isCommit(commit) || !/^[\w-]{8,128}$/.test(etag)) {
    throw new HubError(repository, `${settings.endpoint} does not say the commit and checksum of "${file}"`, {
      hint: "the endpoint is not a Hugging Face hub; check HF_ENDPOINT",
      status,
    });
  }
  const size = Number(header("x-linked-size") ?? headers.get("content-length") ?? Number.NaN);
  const known = Number.isSafeInteger(size) && size >= 0 && (status < 300 || header("x-linked-size") !== undefined);
  return { commit, etag, size: known ? size : null };
}

/** Servers that give no code are taken to mean the file. */
const isMissingFile = (code: string | null): boolean => code === null || code === "EntryNotFound";

/** The error for an answer that is a refusal. */
export function refusal(
  settings: HubSettings,
  repository: string,
  revision: string,
  status: number,
  headers: Headers,
): HubError {
  const code = headers.get("x-error-code");
  const page = `${settings.endpoint}/${repository}`;
  const withToken = settings.token === undefined ? "set HF_TOKEN" : "use a token of an account that may";
  const make = (reason: string, hint: string): HubError => new HubError(repository, reason, { hint, status });

  if (code === "GatedRepo") {
    return make("it is given only to those who accept its conditions", `accept them at ${page}, then ${withToken}`);
  }
  if (code === "RevisionNotFound") return make(`it has no revision "${revision}"`, `see ${page}/tree/main`);
  if (code === "RepoNotFound" || status === 404 || (status === 401 && settings.token === undefined)) {
    return make(`not found at ${settings.endpoint}, or private`, `check the name; for a private model ${withToken}`);
  }
  if (status === 401) return make("the token was refused", "check HF_TOKEN, or log in again");
  if (status === 403) return make("access is forbidden", `${withToken} read it: ${page}`);
  return make(`${settings.endpoint} answered ${status}`, `see ${page}`);
}
