/** How many requests to one host are under way at once, without a network. */
import { setImmediate as turn } from "node:timers/promises";
import { expect, test } from "vitest";
import { createSlots } from "../../../../src/sources/http/slots.ts";

test("no more are given than there are, and the next one is served when one comes back", async () => {
  const slots = createSlots(2);
  const order: string[] = [];
  const take = async (name: string): Promise<() => void> => {
    const release = await slots.take("a");
    order.push(name);
    return release;
  };
  const first = await slots.take("a");
  await slots.take("a");
  const [third, fourth] = [take("third"), take("fourth")];
  await turn();
  expect(order).toEqual([]);
  first();
  (await third)();
  await fourth;
  expect(order).toEqual(["third", "fourth"]);
});

test("hosts do not wait for each other", async () => {
  const slots = createSlots(1);
  await slots.take("a");
  await slots.take("b");
});

test("a slot that is given back twice is one slot", async () => {
  const slots = createSlots(1);
  const release = await slots.take("a");
  release();
  release();
  await slots.take("a");
  let second = false;
  void slots.take("a").then(() => {
    second = true;
  });
  await turn();
  expect(second).toBe(false);
});

test("who stops waiting takes no slot along", async () => {
  const slots = createSlots(1);
  const release = await slots.take("a");
  const controller = new AbortController();
  const impatient = slots.take("a", controller.signal);
  const patient = slots.take("a");
  controller.abort(new Error("enough"));
  await expect(impatient).rejects.toThrow("enough");
  release();
  (await patient)();
  await slots.take("a");
});

test("who has stopped already is not served", async () => {
  await expect(createSlots(1).take("a", AbortSignal.abort(new Error("enough")))).rejects.toThrow("enough");
});
