/** JSON from outside: bounded before it is parsed, without nulls, and with words for what is wrong. */
import { describe, expect, test } from "vitest";
import { z } from "zod";
import { AppError } from "../../../src/errors.ts";
import { MAX_JSON_VALUES, parseJson, parseJsonDocument } from "../../../src/image/json-document.ts";

const LIMITS = { what: "x", maxBytes: 16 * 1024 * 1024 };

function refusal(text: string, schema: z.ZodType, more: object = {}): AppError {
  try {
    parseJsonDocument(Buffer.from(text), { ...LIMITS, ...more, schema });
  } catch (error) {
    if (error instanceof AppError) return error;
    throw error;
  }
  throw new Error("nothing was thrown");
}

describe("parseJson", () => {
  test("leaves out members that are null, at any depth, and keeps elements that are", () => {
    const text = '{"a":null,"b":[null,{"c":null,"d":1}],"__proto__":{"e":null}}';
    const value = parseJson(Buffer.from(text), LIMITS) as Record<string, unknown>;
    expect(JSON.stringify(value)).toBe('{"b":[null,{"d":1}],"__proto__":{}}');
  });

  test.each([
    ["in a list", "[".concat("0,".repeat(MAX_JSON_VALUES), "0]")],
    ["in an object", `{${'"a":0,'.repeat(MAX_JSON_VALUES)}"a":0}`],
    ["in lists that are empty", "[".concat("[],".repeat(MAX_JSON_VALUES / 2), "[]]")],
    ["in each other", "[".repeat(MAX_JSON_VALUES) + "]".repeat(MAX_JSON_VALUES)],
    ["behind quotes that are none of its own", `["\\"",${"0,".repeat(MAX_JSON_VALUES)}0]`],
  ])("refuses more values than any document has before it parses them (%s)", (_, text) => {
    expect(() => parseJson(Buffer.from(text), LIMITS)).toThrow(/more than the limit of 250000 values/);
  });

  test("counts no text as values", () => {
    const text = "[{,".repeat(MAX_JSON_VALUES);
    expect(parseJson(Buffer.from(JSON.stringify({ text })), LIMITS)).toEqual({ text });
  });
});

describe("parseJsonDocument", () => {
  const schema = z.object({
    type: z.enum(["DOCKER", "APPC"]).exactOptional(),
    name: z.string().max(3).exactOptional(),
    size: z.int().max(9).exactOptional(),
    names: z.array(z.string()).max(1).exactOptional(),
    on: z.boolean().exactOptional(),
    data: z.base64().exactOptional(),
    id: z
      .string()
      .refine(() => false, { error: "is no id" })
      .exactOptional(),
    labels: z.record(z.string(), z.string()).exactOptional(),
    either: z.union([z.string(), z.number()]).exactOptional(),
  });

  test.each<readonly [unknown, string]>([
    [[], "it should be an object"],
    [{ type: "TAR" }, 'type should be "DOCKER" or "APPC"'],
    [{ name: 1 }, "name should be text"],
    [{ name: "long" }, "name has more than 3 characters"],
    [{ size: "1" }, "size should be a number"],
    [{ size: 1.5 }, "size should be a whole number"],
    [{ size: 10 }, "size is more than 9"],
    [{ names: "a" }, "names should be a list"],
    [{ names: ["a", "b"] }, "names has more than 1 entries"],
    [{ names: [1] }, "names.0 should be text"],
    [{ on: "yes" }, "on should be true or false"],
    [{ data: "{" }, "data is not base64"],
    [{ id: "a" }, "id is no id"],
    [{ labels: { "a\u001b": 1 } }, "labels.a? should be text"],
    [{ either: true }, "either is not as it should be"],
    [{ name: 1, on: 1 }, "name should be text; on should be true or false"],
  ])("says of %j what is wrong in plain words", (value, words) => {
    expect(refusal(JSON.stringify(value), schema).message).toBe(`Cannot use x: ${words}`);
  });

  test("says what is missing, and what null took away", () => {
    expect(refusal('{"a":null}', z.object({ a: z.string() })).message).toBe("Cannot use x: a is missing");
  });

  test("says what to do, whatever is wrong, and what was served where it is no JSON", () => {
    const more = { hint: "write it anew", servedAs: '"text/html"' };
    expect(refusal("[]", schema, more)).toMatchObject({ hint: "write it anew" });
    expect(refusal("<html>", schema, more)).toMatchObject({
      message: 'Cannot use x: it is not JSON, and was served as "text/html"',
      hint: "write it anew",
    });
  });
});
