import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { OptionError } from "../errors.ts";
import { LANGUAGE_ALIASES, LANGUAGES, languageCode, languageName, languageToken } from "./languages.ts";

const codes = [...LANGUAGES.keys()];

describe("LANGUAGES", () => {
  it("has the codes in the order of the tokens (facts 0.7)", () => {
    expect(codes.join(" ")).toBe(
      "en zh de es ru ko fr ja pt tr pl ca nl ar sv it id hi fi vi he uk el ms cs ro da hu ta no th ur hr bg lt la mi ml " +
        "cy sk te fa lv bn sr az sl kn et mk br eu is hy ne mn bs kk sq sw gl mr pa si km sn yo so af oc ka be tg sd gu " +
        "am yi lo uz fo ht ps tk nn mt sa lb my bo tl mg as tt haw ln ha ba jw su yue",
    );
  });

  it("names every language once, and aliases are no names", () => {
    expect(new Set(LANGUAGES.values()).size).toBe(100);
    for (const [alias, code] of LANGUAGE_ALIASES) {
      expect([...LANGUAGES.values()]).not.toContain(alias);
      expect(codes).toContain(code);
    }
  });
});

describe("languageCode()", () => {
  it.each([
    ["en", "en"],
    ["EN", "en"],
    ["yue", "yue"],
    ["haw", "haw"],
    ["german", "de"],
    ["German", "de"],
    ["haitian creole", "ht"],
    ["<|fr|>", "fr"],
    ["<|FR|>", "fr"],
    ["burmese", "my"],
    ["Valencian", "ca"],
    ["flemish", "nl"],
    ["haitian", "ht"],
    ["letzeburgesch", "lb"],
    ["pushto", "ps"],
    ["panjabi", "pa"],
    ["moldavian", "ro"],
    ["moldovan", "ro"],
    ["sinhalese", "si"],
    ["castilian", "es"],
    ["mandarin", "zh"],
    ["en-US", "en"],
    ["pt-BR", "pt"],
    ["PT_br", "pt"],
    ["zh-Hans-CN", "zh"],
    ["zh-yue", "yue"],
    ["zh-cmn-Hans", "zh"],
    ["yue-HK", "yue"],
    ["haw-US", "haw"],
    ["de-DE-1996", "de"],
    ["es-419", "es"],
    ["nb-NO", "no"],
    ["fil", "tl"],
    ["iw", "he"],
    ["jv-ID", "jw"],
  ])("takes %s for %s", (value, code) => {
    expect(languageCode(value)).toBe(code);
  });

  it("finds each language by its code, name and token, in any case", () => {
    fc.assert(
      fc.property(fc.constantFrom(...codes), fc.boolean(), (code, upper) => {
        for (const form of [code, languageName(code), languageToken(code)]) {
          expect(languageCode(upper ? form.toUpperCase() : form)).toBe(code);
        }
      }),
    );
  });

  it.each([
    ["xx", "codes", ", de, ", "german"],
    ["<|xx|>", "tokens", ", <|de|>, ", "german"],
    ["|de|", "tokens", ", <|de|>, ", "german"],
    ["klingon", "names and aliases", ", german, ", "<|de|>"],
    ["xx-US", "names and aliases", ", german, ", "<|de|>"],
    ["en-", "names and aliases", ", german, ", "<|de|>"],
    ["english-US", "names and aliases", ", german, ", "<|de|>"],
    ["jav", "names and aliases", ", castilian, ", "<|de|>"],
    ["", "names and aliases", ", german, ", "<|de|>"],
  ])('refuses "%s" and lists the %s (facts 1.8.2)', (value, _style, listed, notListed) => {
    let error: unknown;
    try {
      languageCode(value);
    } catch (thrown) {
      error = thrown;
    }
    expect(error).toBeInstanceOf(OptionError);
    const { message, option } = error as OptionError;
    expect(option).toBe("language");
    expect(message).toContain(`Unknown language "${value}", expected one of `);
    expect(message).toContain(listed);
    expect(message).not.toContain(notListed);
  });

  it("refuses what is no text", () => {
    expect(() => languageCode(5 as unknown as string)).toThrow('Unknown language "5"');
  });
});

describe("languageName()", () => {
  it("gives the name, and the code where there is none", () => {
    expect(languageName("jw")).toBe("javanese");
    expect(languageName("tlh")).toBe("tlh");
  });
});
