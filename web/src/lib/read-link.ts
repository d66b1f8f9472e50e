/** Links as people type and paste them. */

/** `host.name/…` without a scheme, as address bars show links. */
const BARE = /^(?![^/?#]*@)([\p{L}\p{N}-]+\.)+\p{L}{2,}(:\d+)?([/?#]\S*)?$/u;

/** The http or https address that a text is, perhaps without its scheme; null if it is none. */
export function readLink(text: string): string | null {
  const trimmed = text.trim();
  const full = BARE.test(trimmed) ? `https://${trimmed}` : trimmed;
  if (!/^https?:\/\/\S+$/i.test(full) || !URL.canParse(full)) return null;
  const { href, hostname } = new URL(full);
  const isHost = hostname === "localhost" || /[.:]/.test(hostname);
  return isHost ? href : null;
}
