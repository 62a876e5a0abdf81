/** What a message says of a name: all that a terminal can show of it, and no more than fits. */
import { expect, test } from "vitest";
import { bytes, errorOf, openTreeFixture } from "./fixtures.ts";

test("a long path is cut in the message, and whole in the error", async () => {
  await using fixture = await openTreeFixture();
  const path = `${"long/".repeat(600)}end`;
  const error = errorOf(() => fixture.tree.readlink(path));
  expect(error.message).toContain(`${path.slice(0, 200)}… (${path.length} bytes): `);
  expect(error.message.length).toBeLessThan(300);
  expect(error.path).toBe(path);
});

test("a path of 200 characters is not cut", async () => {
  await using fixture = await openTreeFixture();
  const path = "a".repeat(200);
  expect(errorOf(() => fixture.tree.readlink(path)).message).toContain(`${path}: `);
});

test("a path is cut between characters, and counted in bytes", async () => {
  await using fixture = await openTreeFixture();
  const path = Buffer.from("x".concat("\u{1f980}".repeat(150))).toString("latin1");
  const { message } = errorOf(() => fixture.tree.readlink(path));
  expect(message).toContain("\u{1f980}… (601 bytes)");
  expect(message.isWellFormed()).toBe(true);
});

test("controls that are written out count as long as they are", async () => {
  await using fixture = await openTreeFixture();
  const { message } = errorOf(() => fixture.tree.readlink("\x1b".repeat(2000)));
  expect(message).toMatch(/symlink (?:\\u\{1b\})+… \(2000 bytes\): /);
  expect(message.length).toBeLessThan(300);
});

test("a long xattr name is cut too", async () => {
  await using fixture = await openTreeFixture();
  const name = `user.${"x".repeat(400)}`;
  const error = errorOf(() => fixture.tree.setXattr(".", name, bytes("")));
  expect(error.message).toContain(`${name.slice(0, 200)}… (405 bytes)`);
  expect(error.details).toEqual({ detail: name });
});
