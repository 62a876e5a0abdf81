/** Devices and FIFOs: never opened, never mistaken for overlayfs' whiteouts, and replaced instead of written to. */
import { base256 } from "../../../support/tar-builder.ts";
import { dir, file, hardlink, MODES, symlink, testAttacks } from "./fixtures.ts";

const device = (name: string, devmajor: number, devminor: number, type: "char" | "block" = "char") => ({
  name,
  type,
  devmajor,
  devminor,
});

testAttacks("a device", [
  ["that overlayfs takes for a whiteout is refused", [device("w", 0, 0)], "layer-invalid"],
  ["0:0 in place of a file is refused", [file("w"), device("w", 0, 0)], "layer-invalid"],
  ["0:0 for blocks is none that overlayfs knows", [device("b", 0, 0, "block")], ["b[0,0]"]],
  ["that a later file is written to is replaced", [device("n", 1, 3), file("n")], ["n=inside"]],
  [
    "that a later large file is written to is replaced",
    [device("n", 1, 1), file("n", "x".repeat(3_000_000))],
    ["n=3000000 bytes"],
  ],
  [
    "with two names that is written to by one is replaced there",
    [device("n", 8, 0, "block"), hardlink("h", "n"), file("n")],
    ["h[8,0]", "n=inside"],
  ],
  [
    "behind a symlink that is written to is not written to",
    [device("n", 1, 3), symlink("l", "n"), file("l")],
    ["l=inside", "n(1,3)"],
  ],
  ["in the way of a file is refused", [device("n", 1, 3), file("n/a")], "layer-invalid"],
  ["of the largest numbers that the kernel has", [device("n", 4095, 1_048_575)], ["n(4095,1048575)"]],
  ["whose major number the kernel would cut to a whiteout's is refused", [device("w", 4096, 0)], "layer-invalid"],
  ["whose minor number the kernel would cut to a whiteout's is refused", [device("w", 0, 1_048_576)], "layer-invalid"],
  [
    "of a number beyond 32 bits is refused",
    [{ ...device("n", 0, 0), raw: { devmajor: base256(2 ** 32, 8) } }],
    "layer-invalid",
  ],
  ["of a negative number is refused", [{ ...device("n", 0, 0), raw: { devminor: base256(-1, 8) } }], "layer-invalid"],
  ["of a number that is none is refused", [{ ...device("n", 0, 0), raw: { devmajor: "99999999" } }], "layer-invalid"],
]);

testAttacks("a FIFO", [
  [
    "that a later file is written to is replaced, not waited for",
    [{ name: "p", type: "fifo" }, file("p")],
    ["p=inside"],
  ],
  [
    "that a later large file is written to is replaced",
    [{ name: "p", type: "fifo" }, file("p", "x".repeat(3_000_000))],
    ["p=3000000 bytes"],
  ],
  [
    "behind a symlink is not waited for",
    [{ name: "p", type: "fifo" }, symlink("l", "p"), file("l")],
    ["l=inside", "p|"],
  ],
  ["that becomes a directory", [{ name: "p", type: "fifo" }, dir("p/"), file("p/a")], ["p/!", "p/a=inside"]],
  [
    "twice",
    [
      { name: "p", type: "fifo" },
      { name: "p", type: "fifo", mode: 0o666 },
    ],
    ["p|"],
  ],
]);

// of what a tar can name and a file system cannot, or the other way round
testAttacks(
  "an entry of a type that is none",
  (["s", "M", "V", "Z", "8", "\xff"] as const).map((type) => [
    `(flag ${JSON.stringify(type)}) is refused`,
    [{ name: "s", type, raw: { typeflag: Buffer.from(type, "latin1") } }, file("a")],
    "layer-unsupported",
  ]),
  MODES,
);
