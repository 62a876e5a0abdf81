/** Small documents: bounded in size and in time. */
import { describe, expect, test } from "vitest";
import type { HttpResponse } from "../../../../src/sources/http/http-client.ts";
import { readAtMost } from "../../../../src/sources/http/read-body.ts";
import type { Clock } from "../../../../src/sources/http/speed-watch.ts";
import { errorOf } from "../resolve-with.ts";
import { listen, openAsking } from "./requesting.ts";

const MIB = 1024 * 1024;

/** Time that passes when it is told to. */
function openClock(): Clock & { readonly waits: number[]; pass(): void } {
  const waits: number[] = [];
  let call = (): void => {};
  return {
    waits,
    now: () => 0,
    after(ms, then) {
      waits.push(ms);
      call = then;
      return () => {
        call = () => {};
      };
    },
    pass: () => call(),
  };
}

function answer(chunks: AsyncIterable<Uint8Array>, length?: number): HttpResponse {
  return {
    status: 200,
    url: new URL("https://registry.example.com/v2/a/manifests/1?signature=secret"),
    headers: (name) => (name === "content-length" && length !== undefined ? [String(length)] : []),
    body: chunks,
    discard: async () => {},
  };
}

describe("a small document", () => {
  test("is read whole, and no larger than allowed", async () => {
    const chunks = async function* () {
      yield Buffer.from("ab");
      yield Buffer.from("c");
    };
    expect((await readAtMost(answer(chunks()), 3))?.toString()).toBe("abc");
    expect(await readAtMost(answer(chunks()), 2)).toBeUndefined();
    expect(await readAtMost(answer(chunks(), 3), 2)).toBeUndefined();
  });

  test("that drips for ever is given up after a minute and its size at 64 KiB/s", async () => {
    const clock = openClock();
    const drip = async function* () {
      for (;;) {
        clock.pass();
        await new Promise(setImmediate);
        yield Buffer.from("x");
      }
    };
    const error = await errorOf(readAtMost(answer(drip()), 4 * MIB, clock));
    expect(error).toMatchObject({
      code: "registry-unreachable",
      message:
        "Cannot fetch https://registry.example.com/v2/a/manifests/1?…: it is small, and did not come within 124 s",
      details: { temporary: false },
    });
    await errorOf(readAtMost(answer(drip(), MIB), 4 * MIB, clock));
    expect(clock.waits).toEqual([124_000, 76_000]);
  });

  test("that is given up gives its connection back, though nothing comes any more", async () => {
    await using server = await listen((_, response) => void response.write("x"));
    await using asking = openAsking({ connectionsPerHost: 1 });
    for (let count = 0; count < 3; count += 1) {
      const clock = openClock();
      const reading = errorOf(readAtMost(await asking.ask(server.url), 100, clock));
      await new Promise(setImmediate);
      clock.pass();
      expect((await reading).details["reason"]).toBe("SLOW");
    }
  });
});
