/** The first output of /predict_2: the video itself, to be watched beside its text (facts 1.16.9). */

/** A frame that plays the video where the site is YouTube, else a link; the URL is escaped. */
export function videoEmbed(url: string): string {
  const id = youtubeId(url);
  if (id === null) return `<a href="${escapeHtml(url)}" rel="noreferrer">${escapeHtml(url)}</a>`;
  return `<center> <iframe width="500" height="320" src="https://www.youtube.com/embed/${id}"> </iframe> </center>`;
}

/** Of watch pages, short links, shorts and embeds, whatever other parameters there are (facts 1.16.9). */
export function youtubeId(text: string): string | null {
  if (!URL.canParse(text)) return null;
  const url = new URL(text);
  const host = url.hostname.replace(/^(www|m|music)\./, "");
  let id: string | null = null;
  if (host === "youtu.be") id = url.pathname.slice(1).split("/")[0];
  else if (host === "youtube.com" || host === "youtube-nocookie.com") {
    id = url.searchParams.get("v") ?? /^\/(?:shorts|embed|live|v)\/([^/]+)/.exec(url.pathname)?.[1] ?? null;
  }
  return id !== null && /^[A-Za-z0-9_-]{11}$/.test(id) ? id : null;
}

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (mark) => `&#${mark.charCodeAt(0)};`);
}
