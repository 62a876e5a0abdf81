/** Which of the images of an archive are taken in on one platform. */
import { describe, expect, test } from "vitest";
import type { RootwrightEvent } from "../../../src/events.ts";
import { parsePlatform } from "../../../src/image/platform.ts";
import { type Listed, servingImages } from "../../../src/provisioner/serving-images.ts";

function listed(describe: string, platform: string | undefined, names: readonly string[], written = names): Listed {
  return { names, written, describe, ...(platform !== undefined && { platform: parsePlatform(platform) }) };
}

function taken(
  images: readonly Listed[],
  platform = "linux/amd64/v3",
): readonly (readonly [string, readonly string[]])[] {
  return servingImages(images, parsePlatform(platform), () => {}).map(({ describe, names }) => [describe, names]);
}

describe("servingImages", () => {
  test("leaves out what is for other platforms, and says so", () => {
    const events: RootwrightEvent[] = [];
    const images = [listed("arm", "linux/arm64", ["a:1"]), listed("amd", "linux/amd64", ["a:1"])];
    const left = servingImages(images, parsePlatform("linux/amd64"), (event) => events.push(event));
    expect(left.map(({ describe }) => describe)).toEqual(["amd"]);
    const message = "arm is passed over: it is not for linux/amd64";
    expect(events).toEqual([{ type: "decision", topic: "platform", message }]);
    expect(taken(images, "linux/s390x")).toEqual([]);
  });

  test("takes the nearest of those with one name, and of equals the last", () => {
    const levels = ["v2", "v3", "v1"].map((level) => listed(level, `linux/amd64/${level}`, ["a:1"]));
    expect(taken([...levels, listed("386", "linux/386", ["a:1"])])).toEqual([["v3", ["a:1"]]]);
    expect(taken([listed("first", "linux/386", ["a:1"]), listed("second", "linux/386", ["a:1"])])).toEqual([
      ["second", ["a:1"]],
    ]);
  });

  test("leaves each image the names that no other one serves better", () => {
    const images = [listed("old", "linux/amd64", ["a:1", "b:1"]), listed("new", "linux/amd64/v3", ["a:1"])];
    expect(taken(images)).toEqual([
      ["old", ["b:1"]],
      ["new", ["a:1"]],
    ]);
  });

  test("takes images with one mere tag for one image, and those without any for several", () => {
    const tagged = [listed("386", "linux/386", [], ["1"]), listed("amd", "linux/amd64", [], ["1"])];
    expect(taken(tagged)).toEqual([["amd", []]]);
    const bare = [listed("386", "linux/386", []), listed("amd", "linux/amd64", [])];
    expect(taken(bare)).toHaveLength(2);
  });

  test("keeps what does not say for which platform it is", () => {
    expect(taken([listed("unsaid", undefined, ["a:1"]), listed("amd", "linux/amd64", ["a:1"])])).toHaveLength(2);
  });
});
