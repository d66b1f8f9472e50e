import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { checkLinks, checkSnippets, snippetsOf } from "./check-docs.mjs";

const FENCE = "```";

describe("checkLinks()", () => {
  const files = ["README.md", "docs", "docs/a.md", "docs/b.md"];

  /** Faults of docs/a.md, without the place. */
  function faultsOf(text: string): string[] {
    const pages = [
      { path: "docs/a.md", text },
      { path: "docs/b.md", text: "# Title\n\n## Who may import `what`?\n" },
    ];
    return checkLinks(pages, (path) => files.includes(path)).map((fault) => fault.replace(/^\S+: /, ""));
  }

  it.each([
    "[a](b.md)",
    "[a](../README.md)",
    "[a](../docs)",
    "[a](b.md#title)",
    "[a](b.md#who-may-import-what)",
    "# Here\n[a](#here)",
    "[a](https://example.com/none.md)",
    "`[a](none.md)`",
    `${FENCE}\n[a](none.md)\n${FENCE}`,
  ])("accepts %j", (text) => {
    expect(faultsOf(text)).toEqual([]);
  });

  it.each([
    ["[a](none.md)", 'link "none.md" leads to no file'],
    ["[a](../../up.md)", 'link "../../up.md" leaves the repository'],
    ["[a](b.md#none)", 'link "b.md#none" leads to no heading of docs/b.md'],
    ["[a](#none)", 'link "#none" leads to no heading of docs/a.md'],
    [`${FENCE}\n# here\n${FENCE}\n[a](#here)`, 'link "#here" leads to no heading'],
  ])("names the fault of %j", (text, fault) => {
    expect(faultsOf(text)).toEqual([expect.stringContaining(fault)]);
  });

  it("gives the line of each of several links", () => {
    const pages = [{ path: "a.md", text: "one\n[x](x.md) and [y](y.md)\n" }];
    expect(checkLinks(pages, () => false).map((fault) => fault.slice(0, 19))).toEqual([
      'a.md:2: link "x.md"',
      'a.md:2: link "y.md"',
    ]);
  });
});

describe("snippetsOf()", () => {
  it("finds the fences marked ts, with the line where their code begins", () => {
    const text = ["# A", `${FENCE}sh`, "npm ci", FENCE, "", `${FENCE}ts`, "a;", "b;", FENCE, "end"].join("\n");
    expect(snippetsOf({ path: "a.md", text })).toEqual([{ line: 7, code: "a;\nb;" }]);
  });
});

describe("checkSnippets()", () => {
  const root = fileURLToPath(new URL("..", import.meta.url)).replace(/[\\/]$/, "");

  it("names page and line of what does not compile, and nothing else", () => {
    const text = ["# A", `${FENCE}ts`, 'import { join } from "node:path";', 'const n: number = join("a");', FENCE].join(
      "\n",
    );
    const good = ["# A", `${FENCE}ts`, "const n: number = await Promise.resolve(1);", "export { n };", FENCE].join(
      "\n",
    );
    expect(
      checkSnippets(root, [
        { path: "docs/a.md", text },
        { path: "docs/b.md", text: good },
      ]),
    ).toEqual(["docs/a.md:4: Type 'string' is not assignable to type 'number'."]);
  });
});
