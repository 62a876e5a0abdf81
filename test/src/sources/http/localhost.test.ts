/** Names of this machine stay here, whatever the resolver says of them. */
import type { LookupAddress } from "node:dns";
import { expect, test } from "vitest";
import { leadsHere, lookUpLocalhost } from "../../../../src/sources/http/localhost.ts";
import { listen, openAsking } from "./requesting.ts";

type Found = readonly [string | LookupAddress[], number | undefined];

function lookUp(name: string, options: { readonly all?: boolean; readonly family?: number }): Promise<Found> {
  return new Promise((resolve, reject) =>
    lookUpLocalhost(name, options, (error, address, family) => {
      if (error === null) resolve([address, family]);
      else reject(error);
    }),
  );
}

test.each(["localhost", "registry.localhost", "A.LOCALHOST"])("%s is not looked up", async (name) => {
  expect(await lookUp(name, {})).toEqual(["127.0.0.1", 4]);
  expect(await lookUp(name, { family: 6 })).toEqual(["::1", 6]);
  const [all] = await lookUp(name, { all: true });
  expect(all).toEqual([
    { address: "127.0.0.1", family: 4 },
    { address: "::1", family: 6 },
  ]);
});

test("what only looks like it is", async () => {
  await expect(lookUp("localhost.invalid", {})).rejects.toMatchObject({ syscall: "getaddrinfo" });
});

test("a registry below localhost is reached", async () => {
  await using server = await listen((_, response) => void response.end("hello"));
  await using asking = openAsking();
  expect(await asking.get(`http://registry.localhost:${server.port}`)).toEqual({ status: 200, text: "hello" });
});

test.each([
  ["localhost.:1", true],
  ["0.0.0.0", true],
  ["[::]:443", true],
  ["[::ffff:7f00:1]", true],
  ["example.com", false],
  ["10.0.0.1:5000", false],
  ["[::2]", false],
])("leadsHere: %s is %s", (host, here) => {
  expect(leadsHere(host)).toBe(here);
});
