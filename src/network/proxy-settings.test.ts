import { describe, expect, it } from "vitest";
import { OptionError } from "../errors.ts";
import { proxyFor } from "./proxy-settings.ts";

const of = (url: string, env: Record<string, string>): string | null => proxyFor(new URL(url), env)?.href ?? null;

describe("proxyFor()", () => {
  it.each<[url: string, env: Record<string, string>, proxy: string | null]>([
    ["https://a.example/", {}, null],
    ["https://a.example/", { HTTPS_PROXY: "http://p:3128" }, "http://p:3128/"],
    ["https://a.example/", { https_proxy: "p:3128", HTTPS_PROXY: "http://q" }, "http://p:3128/"],
    ["https://a.example/", { https_proxy: "", HTTPS_PROXY: "http://q" }, "http://q/"],
    ["https://a.example/", { HTTP_PROXY: "http://p" }, null],
    ["http://a.example/", { HTTP_PROXY: "http://p" }, "http://p/"],
    ["http://a.example/", { HTTPS_PROXY: "http://p" }, null],
    ["http://a.example/", { ALL_PROXY: "http://p" }, "http://p/"],
    ["https://a.example/", { all_proxy: "http://p", HTTPS_PROXY: "https://q:8443" }, "https://q:8443/"],
    ["https://a.example/", { HTTPS_PROXY: "http://me:p%40ss@p:1" }, "http://me:p%40ss@p:1/"],
  ])("%s with %j: %s", (url, env, proxy) => expect(of(url, env)).toBe(proxy));

  it.each<[list: string, exempt: string, not: string]>([
    ["a.example", "https://a.example https://b.a.example", "https://ba.example https://example"],
    [".a.example", "https://b.a.example https://a.example", "https://ba.example"],
    ["*.a.example", "https://b.a.example", "https://c.example"],
    ["x, A.Example  y", "https://a.example https://x https://y", "https://z"],
    ["a.example:8443", "https://a.example:8443", "https://a.example https://a.example:1"],
    ["a.example:443", "https://a.example", "https://a.example:1"],
    ["127.0.0.1", "https://127.0.0.1:99", "https://127.0.0.2"],
    [
      "10.0.0.0/8,fd00::/8",
      "https://10.9.8.7 https://[fd00::1]",
      "https://11.0.0.1 https://[fe80::1] https://a.example",
    ],
    ["[::1]:8000,::2", "https://[::1]:8000 https://[::2]", "https://[::1]"],
    ["*", "https://a.example https://[::1]", ""],
    ["10.0.0.0/99,/,:", "", "https://10.0.0.1 https://a.example"],
  ])("NO_PROXY %j", (list, exempt, not) => {
    const env = { HTTPS_PROXY: "http://p", NO_PROXY: list };
    for (const url of exempt.split(" ").filter(Boolean)) expect([url, of(url, env)]).toEqual([url, null]);
    for (const url of not.split(" ").filter(Boolean)) expect([url, of(url, env)]).toEqual([url, "http://p/"]);
  });

  it.each(["socks5://user:secret@p:1080", "http://", "ftp://p", "http://p:99999"])("refuses %s", (value) => {
    const read = (): unknown => of("https://a.example", { HTTPS_PROXY: value });
    expect(read).toThrow(OptionError);
    expect(read).toThrow("Cannot use the proxy of HTTPS_PROXY: expected http://HOST:PORT");
    expect(read).not.toThrow("secret");
  });
});
